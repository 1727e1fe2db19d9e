#!/usr/bin/env python3
"""Writes tests/golden/onnx/<net>.onnx and <net>.npz: small nets as PyTorch's exporter writes them (TorchScript-based, opset 17 unless said), with an
input of three samples and PyTorch's outputs, for tests/cli/onnx.test.py. The nets are of the kinds that torchvision has.

Run by hand when a kind is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision==0.26.0 transformers==5.24.0 onnx==1.23.2 numpy==2.4.6
    venv/bin/python tests/golden/make_onnx.py [NET ...]
"""
import pathlib
import sys
import warnings

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.resnet import BasicBlock
from torchvision.models.shufflenetv2 import ShuffleNetV2

FOLDER = pathlib.Path(__file__).parent / "onnx"
warnings.filterwarnings("ignore")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.layer2 = BasicBlock(8, 16, 2, down)
        self.fc = nn.Linear(16, 5)

    def forward(self, image):
        x = self.layer2(self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(image))))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Inception(nn.Module):
    """Branches that are joined, average pools, an asymmetric padding of its own, ceil_mode, softmax."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1)
        self.b = nn.Conv2d(3, 4, (1, 5), padding=(0, 2))
        self.c = nn.Conv2d(3, 4, 3)
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.shrink = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.head = nn.Linear(15, 5)

    def forward(self, image):
        x = torch.cat([self.a(image), self.b(image), self.c(F.pad(image, (2, 0, 1, 1))), self.pool(image)], 1)
        return F.softmax(self.head(self.shrink(x).mean((2, 3))), -1)


class Encoder(nn.Module):
    """Tokens, positions, attention by heads, layer norm, GELU."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 16)
        self.positions = nn.Parameter(torch.randn(1, 8, 16) * 0.1)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 5)

    def heads(self, x):
        return x.view(x.size(0), x.size(1), 4, 4).transpose(1, 2)

    def forward(self, tokens):
        x = self.words(tokens) + self.positions
        h = self.norm1(x)
        q, k, v = self.heads(self.q(h)), self.heads(self.k(h)), self.heads(self.v(h))
        weights = torch.softmax(q @ k.transpose(-2, -1) / 2.0, -1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(x.size(0), x.size(1), 16))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return self.head(self.norm3(x)[:, 0])


class Patches(nn.Module):
    """A vision transformer in small: patches, a class token, scaled_dot_product_attention, slices of one projection, GELU by tanh."""

    def __init__(self):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 16, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, 16))
        self.pos_embedding = nn.Parameter(torch.randn(1, 17, 16))
        self.norm = nn.LayerNorm(16)
        self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)
        self.fc = nn.Linear(16, 5)

    def forward(self, image):
        x = self.conv_proj(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.size(0), -1, -1), x], 1) + self.pos_embedding
        q, k, v = (t.reshape(x.size(0), 17, 2, 8).transpose(1, 2) for t in self.qkv(self.norm(x)).split(16, -1))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.size(0), 17, 16))
        return self.fc(F.gelu(x[:, 0], approximate="tanh"))


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.mid = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(6, 6, 2, 2)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, image):
        x = F.silu(self.norm(self.down(image)))
        y = torch.sigmoid(self.mid(F.max_pool2d(x, 2))) * 1.5
        return self.last(torch.cat([x, torch.tanh(self.up(y))], 1))


class Texts(nn.Module):
    """A net of transformers with its mask."""

    def __init__(self, kind, attention, **options):
        super().__init__()
        import transformers
        config = getattr(transformers, kind + "Config")(vocab_size=50, attn_implementation=attention, **options)
        self.net = getattr(transformers, {"Bert": "BertForSequenceClassification", "DistilBert": "DistilBertForMaskedLM", "GPT2": "GPT2LMHeadModel"}[kind])(config)

    def forward(self, input_ids, attention_mask):
        return self.net(input_ids=input_ids, attention_mask=attention_mask).logits


def bert():
    return Texts("Bert", "sdpa", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=32, num_labels=5)


def distilbert():
    return Texts("DistilBert", "eager", dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=32)


def gpt2():
    return Texts("GPT2", "sdpa", n_embd=16, n_layer=1, n_head=2, n_positions=32, use_cache=False)


def mobilenet_v3():
    settings = [InvertedResidualConfig(8, 3, 16, 8, True, "RE", 2, 1, 1), InvertedResidualConfig(8, 5, 24, 8, True, "HS", 1, 1, 1)]
    return MobileNetV3(settings, 16, num_classes=5)


NETS = {
    "residual": (Residual, "image", {}),
    "residual_plain": (Residual, "image", {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}),
    "residual_opset11": (Residual, "image", {"opset_version": 11}),
    "mobilenet_v2": (lambda: MobileNetV2(5, inverted_residual_setting=[[1, 8, 1, 1], [4, 8, 2, 2]], width_mult=0.25, round_nearest=4), "image", {}),
    "mobilenet_v3": (mobilenet_v3, "image", {"training": torch.onnx.TrainingMode.PRESERVE}),
    "shufflenet": (lambda: ShuffleNetV2([2, 1, 1], [8, 8, 12, 16, 24], num_classes=5), "image", {}),
    "inception": (Inception, "image", {}),
    "encoder": (Encoder, "tokens", {}),
    "encoder_opset14": (Encoder, "tokens", {"opset_version": 14}),
    "patches": (Patches, "small", {}),
    "segmenter": (Segmenter, "small", {}),
    "bert": (bert, "texts", {}),
    "distilbert": (distilbert, "texts", {}),
    "gpt2": (gpt2, "texts", {}),
}


def samples(kind):
    if kind == "texts":
        mask = torch.ones(3, 7, dtype=torch.long)
        mask[1, 4:] = mask[2, 2:] = 0
        return {"input_ids": torch.randint(3, 50, (3, 7)), "attention_mask": mask}
    if kind == "tokens":
        return {"input": torch.randint(30, (3, 8))}
    side = 16 if kind == "small" else 32
    return {"input": torch.rand(3, 3, side, side) * 2 - 1}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETS:
        make, kind, options = NETS[name]
        torch.manual_seed(1)
        net = make().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
        inputs = samples(kind)
        with torch.no_grad():
            y = net(*inputs.values())
        path = FOLDER / f"{name}.onnx"
        open_axes = {0: "batch", 1: "sequence"} if kind == "texts" else {0: "batch"}
        torch.onnx.export(net, tuple(x[:2] for x in inputs.values()), str(path), dynamo=False, input_names=list(inputs), output_names=["output"],
                          dynamic_axes={**dict.fromkeys(inputs, open_axes), "output": {0: "batch"}}, **{"opset_version": 17, **options})
        numpy.savez(FOLDER / f"{name}.npz", **{key: x.numpy() for key, x in inputs.items()}, output=y.numpy())
        print(name, path.stat().st_size)


if __name__ == "__main__":
    main()
