"""The nets that the training benchmarks run, as ds names them and as PyTorch has them; the peer's training loop.

Run as a program it is the peer: `train_nets.py JOB`, JOB a JSON map with net, weights (a safetensors file that ds-convert wrote), epochs, batch, threads,
mode (eager or compile) and precision (float32 or bf16). It prints a JSON line an epoch, then one of the whole.
"""
import json
import os
import resource
import struct
import sys
import time

HOME = os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds")
TOKENS, LENGTH = 30522, 128

# Options of ds-train beside data and loop; batch, and batches in an epoch (mnist5k has its own number).
NETS = {
    "mlp": {"model": ["--model", "mlp"], "data": "mnist5k", "batch": 64},
    "cnn": {"model": ["--model", "cnn"], "data": "mnist5k", "batch": 64},
    "resnet18": {"model": ["--model", "resnet18", "--model.stem", "cifar"], "data": "image", "batch": 32, "batches": 12},
    "vit-tiny": {"model": ["--model", "deit_tiny_patch16_224", "--model.patch_size", "4"], "data": "image", "batch": 32, "batches": 12},
    "bert6": {"model": ["--model", "minilm_l6", "--model.head", "classification"], "data": "tokens", "batch": 16, "batches": 8},
}


def data_spec(name, batches=0):
    net = NETS[name]
    samples = net["batch"] * (batches or net.get("batches", 0))
    if net["data"] == "image":
        return f"synthetic:shape=3x32x32,classes=10,train={samples},val=0,test=0"
    if net["data"] == "tokens":
        return f"synthetic:kind=tokens,vocab={TOKENS},length={LENGTH},classes=10,train={samples},val=0,test=0"
    return net["data"]


def build(name):
    import torch
    from torch import nn
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(inplace=True), nn.Linear(256, 128), nn.ReLU(inplace=True), nn.Linear(128, 10))
    if name == "cnn":
        def block(i, o):
            return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
        w = 32
        return nn.Sequential(*block(1, w), nn.MaxPool2d(2), *block(w, w), *block(w, 2 * w), nn.MaxPool2d(2), *block(2 * w, 2 * w),
                             *block(2 * w, 2 * w), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(2 * w, 10))
    if name == "resnet18":
        import torchvision
        model = torchvision.models.resnet18(num_classes=10)
        model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        return model
    if name == "vit-tiny":
        import timm
        return timm.create_model("deit_tiny_patch16_224", img_size=32, patch_size=4, num_classes=10)
    from transformers import BertConfig, BertForSequenceClassification

    class Classes(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = BertForSequenceClassification(BertConfig(vocab_size=TOKENS, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                                                                intermediate_size=1536, num_labels=10))

        def forward(self, ids, mask):
            return self.net(input_ids=ids, attention_mask=mask).logits
    return Classes()


# Where ours has a name of its own, in the order of the peer's layers.
OURS = {
    "mlp": ["fc1", "fc2", "fc3"],
    "cnn": ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "conv4", "bn4", "conv5", "bn5", "fc"],
}


def load(model, name, weights):
    """The weights that ds began with; every parameter of the peer must be there."""
    from safetensors.torch import load_file
    tensors = load_file(weights)
    if name in OURS:
        layers = dict.fromkeys(key.rsplit(".", 1)[0] for key in model.state_dict())
        place = dict(zip(OURS[name], layers))
        tensors = {f"{place[key.rsplit('.', 1)[0]]}.{key.rsplit('.', 1)[1]}": value for key, value in tensors.items()}
    target = model.net if name == "bert6" else model
    missing, unexpected = target.load_state_dict(tensors, strict=False)
    missing = [key for key in missing if not key.endswith(("num_batches_tracked", "position_ids"))]
    if missing or unexpected:
        raise SystemExit(f"{weights}: not the peer's net: without {missing}, and with {unexpected}")


def idx(name):
    import numpy as np
    import torch
    raw = open(os.path.join(HOME, "data", "mnist5k", name), "rb").read()
    dims = struct.unpack(">" + "I" * raw[3], raw[4:4 + 4 * raw[3]])
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims).copy())


def samples(name, count):
    """Inputs and labels of the training split, in memory, and of the validation split or None."""
    import torch
    kind = NETS[name]["data"]
    if kind == "mnist5k":
        def split(part):
            x = idx(f"{part}-images-idx3-ubyte").float().div(255).sub(0.1312).div(0.3085).unsqueeze(1)
            return [x.contiguous(memory_format=torch.channels_last)], idx(f"{part}-labels-idx1-ubyte").long()
        return split("train"), split("val")
    labels = torch.randint(10, (count,))
    if kind == "image":
        return ([torch.randn(count, 3, 32, 32).contiguous(memory_format=torch.channels_last)], labels), None
    ids, length = torch.randint(5, TOKENS, (count, LENGTH)), torch.randint(LENGTH // 2, LENGTH + 1, (count, 1))
    mask = (torch.arange(LENGTH)[None] < length).long()
    return ([ids * mask, mask], labels), None


def libraries_of(name):
    """Bytes of the process when all is imported and a step of a net of one unit is done, as for ds."""
    import importlib
    import torch
    for module in {"resnet18": ["torchvision"], "vit-tiny": ["timm"], "bert6": ["transformers.models.bert.modeling_bert"]}.get(name, []):
        importlib.import_module(module)
    import safetensors.torch  # noqa: F401
    net = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    net(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peer(job):
    import torch
    from torch import nn
    torch.set_num_threads(job["threads"])
    torch.manual_seed(42)
    name, batch = job["net"], job["batch"]
    libraries = libraries_of(name)
    model = build(name)
    load(model, name, job["weights"])
    model = model.to(memory_format=torch.channels_last) if NETS[name]["data"] != "tokens" else model
    (inputs, labels), check = samples(name, batch * NETS[name].get("batches", 0))
    count = len(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.01, fused=True)
    steps = (count + batch - 1) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=job["epochs"] * steps, cycle_momentum=False)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    run = torch.compile(model) if job["mode"] == "compile" else model
    image = NETS[name]["data"] != "tokens"

    def gather(parts, index):
        picked = [part[index] for part in parts]
        return [part.contiguous(memory_format=torch.channels_last) for part in picked] if image else picked

    best = float("inf")
    for epoch in range(job["epochs"]):
        model.train()
        begin = time.perf_counter()
        total = 0.0
        for index in torch.randperm(count).split(batch):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "bf16"):
                loss = loss_of(run(*gather(inputs, index)), labels[index])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        best = min(best, (time.perf_counter() - begin) / steps)
        row = {"epoch": epoch + 1, "train_loss": total / steps}
        if check:
            model.eval()
            with torch.inference_mode():
                right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(check[0][0].split(250), check[1].split(250)))
            row["val_top1"] = right / len(check[1])
        print(json.dumps(row), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_s": best, "memory": peak - libraries, "parameters": sum(p.numel() for p in model.parameters())}), flush=True)


if __name__ == "__main__":
    peer(json.loads(sys.argv[1]))
