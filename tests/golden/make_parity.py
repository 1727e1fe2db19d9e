#!/usr/bin/env python3
"""Writes tests/golden/parity/*.json: outputs of PyTorch's own nets in float64, for tests/unit/exec/parity_test.cpp.

Run by hand when an architecture is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision==0.26.0 timm==1.0.31 efficientnet_lite_pytorch==0.1.0
    venv/bin/python tests/golden/make_parity.py [NAME ...]

Weights and inputs come from a formula, so that no file has to carry them:
    seed = FNV-1a (64 bit) of the tensor's name, u(i) = 2 * (splitmix64(seed + i) >> 11) / 2^53 - 1 for element i in row-major order
    running_var: 1.25 + 0.75 u; other tensors of one axis: 1 + 0.5 u for weights, 0.1 u for biases and means
    tensors of more axes: u * sqrt(3 / fan_in) with fan_in = elements / size of axis 0; the input `image`: u
"""
import json
import math
import pathlib
import platform
import sys

import numpy as np
import timm
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "parity"


def uniform(name, n):
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return 2.0 * (z >> np.uint64(11)).astype(np.float64) / 2.0**53 - 1.0


def weights(name, shape):
    n = math.prod(shape)
    u = uniform(name, n)
    if name.endswith("running_var"):
        u = 1.25 + 0.75 * u
    elif len(shape) == 1:
        u = 1.0 + 0.5 * u if name.endswith("weight") else 0.1 * u
    else:
        u = u * math.sqrt(3.0 / (n // shape[0]))
    return torch.from_numpy(u.reshape(shape))


class Cnn(nn.Module):
    def __init__(self, width, channels, classes):
        super().__init__()
        sizes = [channels, width, width, 2 * width, 2 * width, 2 * width]
        for i in range(1, 6):
            self.add_module(f"conv{i}", nn.Conv2d(sizes[i - 1], sizes[i], 3, padding=1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(sizes[i]))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x):
        for i in range(1, 6):
            x = torch.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
            if i in (1, 3):
                x = nn.functional.max_pool2d(x, 2)
        return self.fc(x.mean((2, 3)))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = nn.functional.max_pool2d(torch.relu(conv(x)), 2)
        x = torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1)))))
        return self.fc3(x)


class Mlp(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.n = len(sizes) - 1
        for i in range(self.n):
            self.add_module(f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(self.n):
            x = getattr(self, f"fc{i + 1}")(x)
            x = torch.relu(x) if i + 1 < self.n else x
        return x


class DoubleConv(nn.Module):
    def __init__(self, inputs, outputs, middle=None):
        super().__init__()
        layers = []
        for a, b in ((inputs, middle or outputs), (middle or outputs, outputs)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, inputs, outputs, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(inputs, outputs, inputs // 2)
        else:
            self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
            self.conv = DoubleConv(inputs, outputs)

    def forward(self, x, skip):
        x = self.up(x)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = nn.functional.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], 1))


class OutConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """With the names and the layers of github.com/milesial/Pytorch-UNet in its present form (convolutions before a norm have no bias)."""

    def __init__(self, channels, classes, bilinear, width=64):
        super().__init__()
        half = 2 if bilinear else 1
        sizes = [width * 2**level for level in range(5)]
        self.inc = DoubleConv(channels, width)
        for level in range(1, 5):
            self.add_module(f"down{level}", Down(sizes[level - 1], sizes[level] // (half if level == 4 else 1)))
        for level in range(3, -1, -1):
            self.add_module(f"up{4 - level}", Up(sizes[level + 1], sizes[level] // (half if level else 1), bilinear))
        self.outc = OutConv(width, classes)

    def forward(self, x):
        levels = [self.inc(x)]
        for level in range(1, 5):
            levels.append(getattr(self, f"down{level}")(levels[-1]))
        x = levels[4]
        for level in range(3, -1, -1):
            x = getattr(self, f"up{4 - level}")(x, levels[level])
        return self.outc(x)


def resnet_cifar():
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


def vit(size, patch, dim, heads):
    return torchvision.models.VisionTransformer(image_size=size, patch_size=patch, num_layers=12, num_heads=heads, hidden_dim=dim, mlp_dim=4 * dim, num_classes=10)


# file: architecture, its options, shape of the input, net
NETS = {
    "mlp": ("mlp", {"hidden": [64, 32]}, [2, 1, 8, 8], lambda: Mlp([64, 64, 32, 10])),
    "lenet": ("lenet", {}, [2, 1, 28, 28], LeNet),
    "cnn": ("cnn", {}, [2, 1, 28, 28], lambda: Cnn(32, 1, 10)),
    "cnn_digits": ("cnn", {"width": 8}, [3, 1, 8, 8], lambda: Cnn(8, 1, 10)),
    "cnn_rgb": ("cnn", {"width": 16}, [2, 3, 32, 32], lambda: Cnn(16, 3, 10)),
    "resnet18": ("resnet18", {}, [2, 3, 64, 64], lambda: torchvision.models.resnet18(num_classes=10)),
    "resnet18_cifar": ("resnet18", {"stem": "cifar"}, [2, 3, 32, 32], resnet_cifar),
    "resnet50": ("resnet50", {}, [2, 3, 64, 64], lambda: torchvision.models.resnet50(num_classes=10)),
    "vit_tiny": ("vit_tiny", {"patch_size": 8}, [2, 3, 32, 32], lambda: vit(32, 8, 192, 3)),
    "vit_b_16": ("vit_b_16", {}, [2, 3, 32, 32], lambda: vit(32, 16, 768, 12)),
}

def small(name, classifier=None, **options):
    """torchvision's net of that name for 10 classes, with the hidden linear layers of `classifier` = [(place, inputs, outputs)] made smaller."""
    net = torchvision.models.get_model(name, num_classes=10, **options)
    for place, inputs, outputs in classifier or []:
        net.classifier[place] = nn.Linear(inputs, outputs)
    return net


def lite(name):
    """With padding that follows the size of the image, as that of the graph does."""
    return EfficientNet.from_name(name, num_classes=10, image_size=None)


def from_timm(name, side, **options):
    return timm.create_model(name, img_size=side, num_classes=10, **options)


def swin(name, dim, heads, depths, window):
    """With a table of coordinates in double precision, in place of single precision made double."""
    v2 = name.startswith("swin_v2")
    t = torchvision.models.swin_transformer
    block, merging = (t.SwinTransformerBlockV2, t.PatchMergingV2) if v2 else (t.SwinTransformerBlock, t.PatchMerging)
    heads = [heads * 2**stage for stage in range(4)]
    net = t.SwinTransformer([4, 4], dim, depths, heads, [window, window], num_classes=10, block=block, downsample_layer=merging)
    for module in net.modules():
        if hasattr(module, "relative_coords_table"):
            steps = torch.arange(-(window - 1), window, dtype=torch.float64) / (window - 1) * 8
            steps = torch.sign(steps) * torch.log2(torch.abs(steps) + 1) / 3
            module.relative_coords_table = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).unsqueeze(0)
    return net


def convnext():
    stages = [(16, 32, 3), (32, 64, 3), (64, 128, 9), (128, None, 3)]
    return torchvision.models.ConvNeXt([torchvision.models.convnext.CNBlockConfig(*stage) for stage in stages], num_classes=10)


# One small member a family, on small images: each takes the test under two seconds. The names and shapes of their tensors are make_zoo.py's matter.
ZOO = {
    "alexnet": ("alexnet", {"hidden_features": 64}, [2, 3, 96, 64], lambda: small("alexnet", [(1, 9216, 64), (4, 64, 64), (6, 64, 10)])),
    "convnext_tiny": ("convnext_tiny", {"width": 16}, [2, 3, 64, 32], convnext),
    "deit_tiny": ("deit_tiny_patch16_224", {"depth": 3}, [2, 3, 32, 32], lambda: from_timm("deit_tiny_patch16_224", 32, depth=3)),
    "deit_tiny_distilled": (
        "deit_tiny_distilled_patch16_224",
        {"depth": 2, "patch_size": 8},
        [2, 3, 32, 32],
        lambda: from_timm("deit_tiny_distilled_patch16_224", 32, depth=2, patch_size=8),
    ),
    "densenet121": ("densenet121", {}, [2, 3, 64, 64], lambda: small("densenet121")),
    "efficientnet_b0": ("efficientnet_b0", {}, [2, 3, 64, 40], lambda: small("efficientnet_b0")),
    "efficientnet_lite0": ("efficientnet_lite0", {}, [2, 3, 50, 64], lambda: lite("efficientnet-lite0")),
    "efficientnet_v2_s": ("efficientnet_v2_s", {}, [1, 3, 32, 48], lambda: small("efficientnet_v2_s")),
    "googlenet": ("googlenet", {}, [2, 3, 72, 64], lambda: small("googlenet", aux_logits=False, init_weights=False)),
    "inception_v3": ("inception_v3", {}, [2, 3, 80, 96], lambda: small("inception_v3", aux_logits=False, init_weights=False)),
    "mixer_s16": (
        "mixer_s16_224",
        {"depth": 3, "dim": 128},
        [2, 3, 48, 48],
        lambda: timm.models.mlp_mixer.MlpMixer(num_classes=10, img_size=48, patch_size=16, num_blocks=3, embed_dim=128),
    ),
    "mnasnet0_5": ("mnasnet0_5", {}, [2, 3, 64, 64], lambda: small("mnasnet0_5")),
    "mnasnet1_3": ("mnasnet1_3", {}, [2, 3, 32, 32], lambda: small("mnasnet1_3")),
    "mobilenet_v2": ("mobilenet_v2", {}, [2, 3, 64, 48], lambda: small("mobilenet_v2")),
    "mobilenet_v3_large": ("mobilenet_v3_large", {}, [2, 3, 64, 48], lambda: small("mobilenet_v3_large")),
    "mobilenet_v3_small": ("mobilenet_v3_small", {}, [2, 3, 64, 48], lambda: small("mobilenet_v3_small")),
    "regnet_x_400mf": ("regnet_x_400mf", {}, [2, 3, 32, 48], lambda: small("regnet_x_400mf")),
    "regnet_y_400mf": ("regnet_y_400mf", {}, [2, 3, 64, 48], lambda: small("regnet_y_400mf")),
    "resnext50_32x4d": ("resnext50_32x4d", {}, [2, 3, 32, 32], lambda: small("resnext50_32x4d")),
    "shufflenet_v2_x0_5": ("shufflenet_v2_x0_5", {}, [2, 3, 64, 48], lambda: small("shufflenet_v2_x0_5")),
    "squeezenet1_0": ("squeezenet1_0", {}, [2, 3, 64, 70], lambda: small("squeezenet1_0")),
    "squeezenet1_1": ("squeezenet1_1", {}, [2, 3, 64, 72], lambda: small("squeezenet1_1")),
    "swin_t": ("swin_t", {"dim": 24}, [2, 3, 124, 68], lambda: swin("swin_t", 24, 3, [2, 2, 6, 2], 7)),
    "swin_v2_t": ("swin_v2_t", {"dim": 24, "window_size": 4}, [2, 3, 96, 68], lambda: swin("swin_v2_t", 24, 3, [2, 2, 6, 2], 4)),
    "unet": ("unet", {"width": 4}, [1, 3, 20, 22], lambda: UNet(3, 10, False, 4)),
    "unet_bilinear": ("unet", {"width": 4, "bilinear": True}, [1, 3, 16, 17], lambda: UNet(3, 10, True, 4)),
    "vgg11": ("vgg11", {"hidden_features": 64}, [2, 3, 64, 96], lambda: small("vgg11", [(0, 25088, 64), (3, 64, 64), (6, 64, 10)])),
    "vgg11_bn": ("vgg11_bn", {"hidden_features": 64}, [2, 3, 32, 32], lambda: small("vgg11_bn", [(0, 25088, 64), (3, 64, 64), (6, 64, 10)])),
}


def main():
    torch.set_default_dtype(torch.float64)
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or [*NETS, *ZOO]:
        arch, options, shape, make = (NETS | ZOO)[name]
        net = make().eval()
        state = {k: v for k, v in net.state_dict().items() if not k.endswith(("num_batches_tracked", "relative_position_index", "relative_coords_table"))}
        for tensor_name, tensor in state.items():  # they share the net's memory
            tensor.copy_(weights(tensor_name, list(tensor.shape)))
        image = torch.from_numpy(uniform("image", math.prod(shape)).reshape(shape))
        with torch.no_grad():
            output = net(image)
        record = {
            "arch": arch,
            "options": options,
            "made_with": {"torch": torch.__version__, "torchvision": torchvision.__version__, "python": platform.python_version()},
            "image": shape,
            "logits": output.tolist(),
        }
        if name in NETS:
            record["tensors"] = {k: list(v.shape) for k, v in state.items()}
        text = json.dumps(record)
        (FOLDER / f"{name}.json").write_text(text.replace('], "', '],\n"').replace('}, "', '},\n"') + "\n")
        print(f"{name}: {len(text)} bytes, largest {output.abs().max().item():.4g}")


if __name__ == "__main__":
    main()
