"""Training on what is there already: --pretrained, adapters beside a base, their files, merging and switching."""
import csv
import json
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import check, fails, main, run, start

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
CNN = ["--data", "digits", "--model", "cnn", "--model.width", 8]
TOKENS = "synthetic:kind=tokens,vocab=40,length=12,classes=4,train=128,val=16,test=64"
BERT = ["--model", "bert_tiny", *(x for s in ("depth=2", "dim=32", "heads=2", "mlp_dim=64") for x in ("--set", f"model.{s}"))]
GPT2 = ["--model", "gpt2", *(x for s in ("depth=2", "dim=32", "heads=2", "mlp_dim=64", "head=causal-lm", "max_positions=64") for x in ("--set", f"model.{s}"))]


def read(path):
    """{name: (shape, bytes)} of a safetensors file."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    return {name: (entry["shape"], data[8 + size:][slice(*entry["data_offsets"])]) for name, entry in header.items() if name != "__metadata__"}


def write(path, tensors):
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return path


def tensors(model):
    out = model + ".safetensors"
    if not os.path.exists(out):
        run("ds-convert", model, "-o", out)
    return read(out)


def base_of(folder, *more, epochs=1):
    path = f"{folder}/base.h5"
    run("ds-train", *more, "--epochs", epochs, *SMALL, "-o", path)
    return path


def outputs(folder, model, *more):
    """Predictions and confidences of the test split."""
    path = f"{folder}/predictions.csv"
    record = run("ds-eval", model, "--predictions", path, "-f", *more, *SMALL).record
    rows = [(row["prediction"], float(row["confidence"])) for row in csv.DictReader(open(path))]
    return rows, record["metrics"]["test_loss"]


def near(one, other, by=1.1e-5):
    check(len(one[0]) == len(other[0]) and abs(one[1] - other[1]) < by, one[1], other[1])
    for (label, confidence), (label2, confidence2) in zip(one[0], other[0]):
        check(abs(confidence - confidence2) < by, confidence, confidence2)


def adapt(base, out, kind, *more, epochs=1):
    return run("ds-train", "--init", base, "--adapter", kind, "--epochs", epochs, *more, *SMALL, "-o", out).record


def whole_life(folder, base, kind, *more, merged_away=True):
    """A fresh adapter changes nothing; a trained one gives the same beside its base and merged; base and statistics stay. @return merged, record"""
    before = outputs(folder, base)
    adapt(base, f"{folder}/fresh.h5", kind, "--adapter.head", "no", *more, epochs=0)
    check(outputs(folder, base, "--adapter", f"{folder}/fresh.h5")[0] == before[0], "a fresh adapter changes what the net says")
    record = adapt(base, f"{folder}/a.h5", kind, "--lr", 0.01, *more)
    beside = outputs(folder, base, "--adapter", f"{folder}/a.h5")
    check(beside != before, "it learned nothing")
    made = run("ds-convert", base, "--adapter", f"{folder}/a.h5", "-o", f"{folder}/merged.h5", *SMALL).record
    check((made["adapters_kept"] == []) == merged_away, made)
    check(sorted(made["merged"] + made["adapters_kept"]) == sorted(record["adapter"]["layers"]), made)
    near(beside, outputs(folder, f"{folder}/merged.h5"))
    if merged_away:
        then, now = tensors(base), tensors(f"{folder}/merged.h5")
        check(then.keys() == now.keys(), "other tensors", then.keys() ^ now.keys())
        changed = {name for name in then if then[name] != now[name]}
        mine = {name if (name := f"{layer}.weight") in then else f"{layer.rsplit('.', 1)[0]}.weight" for layer in made["merged"]}
        check(mine <= changed and all(".weight" in name or ".bias" in name for name in changed), changed)
        check(not any("running" in name for name in changed), changed)  # statistics of norms are the base's
    return f"{folder}/merged.h5", record


def test_convolutions_beside_a_cnn(folder):
    base = base_of(folder, *CNN)
    digest = run("ds-convert", base, "--verify", *SMALL).record["inputs"][0]["digest"]
    merged, record = whole_life(folder, base, "conv1x1")
    check(record["adapter"]["base"] == digest and record["outputs"][0]["name"] == "adapter", record)
    check(record["metrics"]["train_macs"] > record["metrics"]["macs"], record["metrics"])
    # every other tool takes it like any
    run("ds-prune", merged, "--ratio", 0.3, "--finetune-epochs", 1, *SMALL, "-o", f"{folder}/pruned.h5")
    run("ds-quantize", f"{folder}/pruned.h5", *SMALL, "-o", f"{folder}/int8.h5")
    check(run("ds-eval", f"{folder}/int8.h5", *SMALL).record["metrics"]["test_top1"] > 0.5, "int8")
    fails(["ds-train", "--init", f"{folder}/int8.h5", "--adapter", "conv1x1", "-o", f"{folder}/x.h5"], 2, "its base is in int8", folder=folder)


def test_series_and_full_rank(folder):
    base = base_of(folder, *CNN)
    whole_life(folder, base, "conv1x1", "--adapter.placement", "series", "--adapter.rank", 0)


def test_low_rank_beside_bert(folder):
    base = base_of(folder, "--data", TOKENS, *BERT)
    merged, record = whole_life(folder, base, "lora", "--adapter.alpha", 16)
    check(len(record["adapter"]["layers"]) == 12, record["adapter"])
    run("ds-quantize", merged, *SMALL, "-o", f"{folder}/int8.h5")


def test_bottlenecks_in_bert_stay(folder):
    base = base_of(folder, "--data", TOKENS, *BERT)
    merged, record = whole_life(folder, base, "bottleneck", "--adapter.dim", 4, merged_away=False)
    check(len(record["adapter"]["layers"]) == 2, record["adapter"])  # after each MLP
    both = adapt(base, f"{folder}/b.h5", "bottleneck", "--adapter.where", "both", epochs=0)
    check(len(both["adapter"]["layers"]) == 4, both["adapter"])
    run("ds-prune", merged, "--ratio", 0.2, *SMALL, "-o", f"{folder}/pruned.h5")
    run("ds-eval", f"{folder}/pruned.h5", *SMALL)


def test_low_rank_beside_gpt2(folder):
    text = f"{folder}/text.txt"
    with open(text, "w") as file:
        file.write("".join(f"line {i} of {i * i % 97} says {i % 7}\n" for i in range(400)))
    base = base_of(folder, "--data", f"text:{text}?length=32", *GPT2)
    merged, record = whole_life(folder, base, "lora", "--adapter.targets", "*attn*")
    check(len(record["adapter"]["layers"]) == 8, record["adapter"])  # q, k and v are parts of one tensor


def test_several_share_a_base_and_are_small(folder):
    data = ["--data", "synthetic:shape=3x32x32,classes=5,train=16,val=8,test=16"]
    base = base_of(folder, *data, "--model", "resnet18", epochs=0)
    for seed, last in ((1, 0), (2, 4)):
        out = f"{folder}/{seed}.h5"
        adapt(base, out, "conv1x1", *data, "--seed", seed, "--adapter.last", last, "--batch-size", 8)
        check(os.path.getsize(out) < 0.05 * os.path.getsize(base), os.path.getsize(out), os.path.getsize(base))
    one, two = (outputs(folder, base, "--adapter", f"{folder}/{i}.h5") for i in (1, 2))
    check(one != two, "both say the same")


def test_without_its_base(folder):
    base = base_of(folder, *CNN)
    adapter = f"{folder}/a.h5"
    adapt(base, adapter, "conv1x1", epochs=0)
    for call in (["ds-eval", adapter], ["ds-convert", adapter, "-o", f"{folder}/x.onnx"], ["ds-convert", adapter, "-o", f"{folder}/x.safetensors"],
                 ["ds-prune", adapter, "-o", f"{folder}/x.h5"], ["ds-train", "--pretrained", adapter, "--data", "digits", "-o", f"{folder}/x.h5"]):
        fails(call, 3, "is an adapter without its base", "base.h5", folder=folder)
    run("ds-train", *CNN, "--seed", 7, "--epochs", 0, *SMALL, "-o", f"{folder}/other.h5")
    fails(["ds-eval", f"{folder}/other.h5", "--adapter", adapter], 3, "is an adapter of", "base.h5", "give it with its own base", folder=folder)
    fails(["ds-eval", base, "--adapter", base], 3, "is no adapter", folder=folder)
    fails(["ds-train", "--adapter", "lora", "--data", "digits", "-o", f"{folder}/x.h5"], 2, "has no base", folder=folder)
    fails(["ds-train", "--init", base, "--adapter", "lora", "-o", f"{folder}/x.h5"], 2, "no layer that lora is made for", folder=folder)
    fails(["ds-train", "--init", base, "--adapter", "conv1x1", "--adapter.targets", "layer9*", "-o", f"{folder}/x.h5"], 2, "named 'layer9*'", folder=folder)
    check("conv1" in run("ds-convert", adapter, "--inspect", *SMALL).out, "an adapter can be looked into")


def test_stopped_and_resumed(folder):
    base = base_of(folder, *CNN)
    call = ["ds-train", "--init", base, "--adapter", "conv1x1", "--epochs", 25, "--threads", 1, "--format", "json"]
    whole = run(*call, "--progress", "none", "-o", f"{folder}/whole.h5").record["outputs"][0]["digest"]
    process = start(*call, "-o", f"{folder}/parts.h5", "--progress", "plain")
    for line in process.stderr:
        if " 1/25" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    check(process.returncode == 75, "it was done before the signal came")
    again = run(*call, "--progress", "none", "-o", f"{folder}/parts.h5", "--resume", "auto").record
    check(again["outputs"][0]["digest"] == whole, "another digest than that of one run")


def test_the_frozen_front_is_run_once(folder):
    base = base_of(folder, *CNN)
    each = adapt(base, f"{folder}/each.h5", "conv1x1", "--adapter.last", 1, "--adapter.head", "yes", epochs=2)
    once = adapt(base, f"{folder}/once.h5", "conv1x1", "--adapter.last", 1, "--adapter.head", "yes", "--cache-frozen", epochs=2)
    check(once["metrics"]["train_macs"] + once["cached"]["front_macs"] == each["metrics"]["train_macs"], once["metrics"], each["metrics"])
    near(outputs(folder, base, "--adapter", f"{folder}/each.h5"), outputs(folder, base, "--adapter", f"{folder}/once.h5"), by=1e-2)
    fails(["ds-train", "--init", base, "--cache-frozen", "-o", f"{folder}/x.h5"], 2, "frozen", folder=folder)
    fails(["ds-train", "--init", base, "--adapter", "conv1x1", "--cache-frozen", "--augment", "affine", "-o", f"{folder}/x.h5"], 2, "contradicts data.augment",
          folder=folder)


def pretrained(path, *more, epochs=0):
    result = run("ds-train", "--pretrained", path, *more, "--epochs", epochs, "--threads", 1, "--format", "json", "--progress", "plain", "-o",
                 os.path.join(os.path.dirname(path.rstrip("/")), "out.h5"), "-f")
    return result.record["pretrained"], result


def test_weights_fit_by_name_and_shape(folder):
    base = base_of(folder, *CNN)
    own = tensors(base)
    head = [name for name in own if own[name][0][:1] == [10]]
    count = len(own)
    # under another program's names, one missing, one too many, one of another shape
    changed = {f"module.net.{name}": value for name, value in own.items()}
    lost = next(name for name in own if name not in head)
    del changed[f"module.net.{lost}"]
    changed["module.net.extra.weight"] = ([2], b"\0" * 8)
    shape, values = changed[f"module.net.{head[0]}"]
    changed[f"module.net.{head[0]}"] = ([shape[0] - 1, *shape[1:]], values[:len(values) // shape[0] * (shape[0] - 1)])
    told, result = pretrained(write(f"{folder}/w.safetensors", changed), *CNN)
    check(told["loaded"] == count - 2 and told["missing"] == [lost] and told["unexpected"] == ["extra.weight"], told)
    check(len(told["other_shape"]) == 1 and told["other_shape"][0].startswith(head[0]) and told["prefix_removed"] == "module.net.", told)
    line = [text for text in result.err.splitlines() if "tensors loaded" in text]
    check(len(line) == 1 and lost in line[0] and "extra.weight" in line[0] and head[0] in line[0], result.err)
    new = tensors(f"{folder}/out.h5")
    check(all(new[name] == own[name] for name in own if name not in (lost, head[0])), "loaded weights are others")

    bad = write(f"{folder}/bad.safetensors", {f"{name}s": value for name, value in own.items()})
    fails(["ds-train", "--pretrained", bad, *CNN, "-o", f"{folder}/x.h5"], 3, "none of its", "near are", f"{lost}s for {lost}", folder=folder)
    fails(["ds-train", "--pretrained", base, "--init", base, "-o", f"{folder}/x.h5"], 2, "contradicts --init", folder=folder)
    fails(["ds-train", "--pretrained", f"{folder}/none.pth", *CNN, "-o", f"{folder}/x.h5"], 3, "no such file", folder=folder)


def test_a_checkpoint_gets_a_last_layer_for_the_data(folder):
    base = base_of(folder, *CNN)
    data = ["--data", "synthetic:shape=1x8x8,classes=4,train=32,val=8,test=16"]
    told, _ = pretrained(base, *data)
    check(told["missing"] == [] and len(told["other_shape"]) == 2, told)
    # pruned: no architecture gives its tensors, its own graph is used
    run("ds-prune", base, "--ratio", 0.4, *SMALL, "-o", f"{folder}/pruned.h5")
    told, result = pretrained(f"{folder}/pruned.h5", *data, epochs=1)
    check(told["missing"] == [] and len(told["other_shape"]) == 2, told)
    # an adapter beside it, with a head of its own
    adapter = f"{folder}/a.h5"
    run("ds-train", "--pretrained", base, "--adapter", "conv1x1", *data, "--epochs", 1, *SMALL, "-o", adapter)
    check(run("ds-eval", base, "--adapter", adapter, *SMALL).record["metrics"]["test_n"] == 16, "eval")


def test_a_folder_of_another_task(folder):
    run("ds-train", "--data", TOKENS, *BERT, "--set", "model.head=classification", "--epochs", 0, *SMALL, "-o", f"{folder}/four.h5")
    run("ds-convert", f"{folder}/four.h5", "-o", f"{folder}/hf/")
    os.remove(f"{folder}/hf/ds.json")  # as others write it
    told, _ = pretrained(f"{folder}/hf/", "--data", TOKENS.replace("classes=4", "classes=3"), epochs=1)
    check(told["missing"] == [] and sorted(text.split()[0] for text in told["other_shape"]) == ["classifier.bias", "classifier.weight"], told)


def test_positions_of_another_resolution(folder):
    vit = ["--model", "vit_tiny", *(x for s in ("depth=1", "dim=16", "heads=2", "mlp_dim=32", "patch_size=4") for x in ("--set", f"model.{s}"))]
    run("ds-train", "--data", "synthetic:shape=3x16x16,classes=3,train=16,val=4,test=8", *vit, "--epochs", 0, *SMALL, "-o", f"{folder}/small.h5")
    told, _ = pretrained(f"{folder}/small.h5", "--data", "synthetic:shape=3x32x32,classes=3,train=16,val=4,test=8", epochs=1)
    check(told["missing"] == [] and told["other_shape"] == [] and len(told["resized"]) == 1, told)


if __name__ == "__main__":
    main(__name__)
