#!/usr/bin/env python3
"""Writes tests/golden/zoo/<family>.json: what the tensors of every size of a family are called and how large they are, as torchvision or timm
have them, for tests/unit/models/zoo_test.cpp. A family is called as its file in lib/base/models/.

Run by hand when an architecture is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision==0.26.0 timm==1.0.31 efficientnet_lite_pytorch==0.1.0
    venv/bin/python tests/golden/make_zoo.py [FAMILY ...]

Per architecture: the default image, the elements of all parameters, the number of tensors (parameters and buffers), and the SHA-256 of a line
"<name> <dtype> <shape, sizes joined by x>\\n" for each, sorted by name in byte order. The member with the fewest parameters has its lines written out.
"""
import hashlib
import json
import math
import pathlib
import platform
import sys
import unittest.mock
import warnings

import timm
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torchvision.models.regnet import BlockParams

from make_parity import UNet

FOLDER = pathlib.Path(__file__).parent / "zoo"
warnings.filterwarnings("ignore")

# What a graph has no tensor for: nothing reads it, or it follows from the sizes alone.
LEFT_OUT = ("num_batches_tracked", "relative_position_index", "relative_coords_table", "attn_mask")


def vision(name, **options):
    return torchvision.models.get_model(name, **options)


def vit_tiny():
    return torchvision.models.VisionTransformer(image_size=224, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)


def regnet(name):
    """Its block sizes are computed with tensors, which must have values."""
    sizes = BlockParams.from_init_params

    def with_values(**options):
        with torch.device("cpu"):
            return sizes(**options)

    with unittest.mock.patch.object(BlockParams, "from_init_params", with_values):
        return vision(name)


def lite(name):
    return EfficientNet.from_name(name.replace("_", "-"))


def from_timm(name):
    return timm.create_model(name, pretrained=False)


def zoo(names, image=224, make=vision, **options):
    """{architecture: (side of the default image, function that makes the reference's net)} for names that the reference has too."""
    return {name: (image, lambda name=name: make(name, **options)) for name in names.split()}


# family: {architecture: (side of the default image, function that makes the reference's net)}
FAMILIES = {
    "alexnet": zoo("alexnet"),
    "convnext": zoo("convnext_tiny convnext_small convnext_base convnext_large"),
    "deit": zoo(
        "deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 deit_tiny_distilled_patch16_224 deit_small_distilled_patch16_224 "
        "deit_base_distilled_patch16_224",
        make=from_timm,
    ),
    "densenet": zoo("densenet121 densenet161 densenet169 densenet201"),
    "efficientnet": {
        **zoo("efficientnet_b0"),
        **zoo("efficientnet_b1", 240),
        **zoo("efficientnet_b2", 260),
        **zoo("efficientnet_b3", 300),
        **zoo("efficientnet_b4", 380),
        **zoo("efficientnet_b5", 456),
        **zoo("efficientnet_b6", 528),
        **zoo("efficientnet_b7", 600),
        **zoo("efficientnet_v2_s", 384),
        **zoo("efficientnet_v2_m efficientnet_v2_l", 480),
    },
    "efficientnet_lite": {
        **zoo("efficientnet_lite0", 224, lite),
        **zoo("efficientnet_lite1", 240, lite),
        **zoo("efficientnet_lite2", 260, lite),
        **zoo("efficientnet_lite3", 280, lite),
        **zoo("efficientnet_lite4", 300, lite),
    },
    "googlenet": zoo("googlenet", aux_logits=False, init_weights=False),
    "inception": zoo("inception_v3", image=299, aux_logits=False, init_weights=False),
    "mlp_mixer": zoo("mixer_s32_224 mixer_s16_224 mixer_b32_224 mixer_b16_224 mixer_l32_224 mixer_l16_224", make=from_timm),
    "mnasnet": zoo("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3"),
    "mobilenet_v2": zoo("mobilenet_v2"),
    "mobilenet_v3": zoo("mobilenet_v3_large mobilenet_v3_small"),
    "regnet": zoo(
        "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf regnet_y_800mf "
        "regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf",
        make=regnet,
    ),
    "resnet": zoo(
        "resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2 resnext50_32x4d resnext101_32x8d resnext101_64x4d"
    ),
    "shufflenet_v2": zoo("shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0"),
    "squeezenet": zoo("squeezenet1_0 squeezenet1_1"),
    "swin": zoo("swin_t swin_s swin_b"),
    "swin_v2": zoo("swin_v2_t swin_v2_s swin_v2_b", 256),
    "unet": {"unet": (572, lambda: UNet(3, 1000, False))},
    "vgg": zoo("vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn"),
    "vit": {**zoo("vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14"), "vit_tiny": (224, vit_tiny)},
}


def lines_of(net):
    state = {k: v for k, v in net.state_dict().items() if not k.endswith(LEFT_OUT)}
    return [f"{k} {str(v.dtype).removeprefix('torch.')} {'x'.join(map(str, v.shape))}" for k, v in sorted(state.items(), key=lambda i: i[0].encode())]


def main():
    FOLDER.mkdir(exist_ok=True)
    for family in sys.argv[1:] or FAMILIES:
        sizes, lines = {}, {}
        for name, (image, make) in FAMILIES[family].items():
            with torch.device("meta"):
                net = make()
            lines[name] = lines_of(net)
            sizes[name] = {
                "image": [3, image, image],
                "parameters": sum(math.prod(p.shape) for p in net.parameters()),
                "tensors": len(lines[name]),
                "sha256": hashlib.sha256("".join(line + "\n" for line in lines[name]).encode()).hexdigest(),
            }
        smallest = min(sizes, key=lambda name: sizes[name]["parameters"])
        record = {
            "made_with": {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__, "python": platform.python_version()},
            "sizes": sizes,
            "smallest": smallest,
            "lines": lines[smallest],
        }
        text = json.dumps(record).replace('}, "', '},\n"').replace('], "', '],\n"').replace('", "', '",\n"')
        (FOLDER / f"{family}.json").write_text(text + "\n")
        print(f"{family}: {len(sizes)} sizes, the smallest {smallest} with {len(lines[smallest])} tensors")


if __name__ == "__main__":
    main()
