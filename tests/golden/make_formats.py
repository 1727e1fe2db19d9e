#!/usr/bin/env python3
"""Writes tests/golden/formats/*: small files by the reference implementations, for tests/unit/io and tests/cli/convert_formats.test.py.

Run by hand when a format is added; the files are kept. Written with torch 2.11.0, safetensors 0.8.0, numpy 2.4.6, torchvision 0.26.0, timm:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision timm safetensors numpy && venv/bin/python tests/golden/make_formats.py

dtypes.*: one tensor a dtype, with values that tell orders and signs apart (VALUES); cnn.*: the state of the architecture `cnn` with width 4,
3 channels and 5 classes, weights by the formula of make_parity.py in float32, with the num_batches_tracked that PyTorch adds; cnn_traced.pt:
the same in TorchScript; vit.pth, timm.pth: whole models of torchvision and timm, with their state dicts as safetensors.
"""
import argparse
import collections
import functools
import pathlib

import numpy as np
import safetensors.torch
import timm.models.vision_transformer
import torch
import torchvision
from torch import nn

from make_parity import Cnn, weights

FOLDER = pathlib.Path(__file__).parent / "formats"
TYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64, "i32": torch.int32,
         "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}
VALUES = [[-2.5, 0.0, 1.0], [3.0, 100.0, 127.0]]  # integers get the whole part, uint8 its magnitude, bool whether it is not 0


def dtypes():
    base = torch.tensor(VALUES, dtype=torch.float64)
    made = {name: (base.abs() if name == "u8" else base).to(dtype) for name, dtype in TYPES.items()}
    made["scalar"] = torch.tensor(42.0)
    return made


def cnn():
    net = Cnn(4, 3, 5)
    state = net.state_dict()
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(weights(name, list(tensor.shape)).to(torch.float32))
    return net, net.state_dict()


class Net(nn.Module):
    """A whole model: modules in modules, a buffer, a parameter that two modules share."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.BatchNorm1d(2))
        self.head = nn.Linear(2, 2, bias=False)
        self.register_buffer("step", torch.tensor([7], dtype=torch.int64))
        self.register_buffer("passing", torch.tensor([1.0]), persistent=False)
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                p.copy_(torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape) + 10 * i)


def filled(net):
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(weights(name, list(tensor.shape)).to(torch.float32))
    return net.eval()


def whole_models():
    vit = filled(torchvision.models.VisionTransformer(image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=5))
    of_timm = filled(timm.models.vision_transformer.VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, num_classes=3))
    for name, net in (("vit", vit), ("timm", of_timm)):
        torch.save(net, FOLDER / f"{name}.pth")
        safetensors.torch.save_file(net.state_dict(), FOLDER / f"{name}.safetensors", metadata={"format": "pt"})
    torch.save(Net(), FOLDER / "own_class.pth")
    torch.save(Net(), FOLDER / "own_class_legacy.pth", _use_new_zipfile_serialization=False)
    counts = collections.defaultdict(int, a=1)
    torch.save({"model": nn.Linear(2, 1), "best": np.float64(0.5), "counts": counts, "args": argparse.Namespace(lr=0.1),
                "call": functools.partial(torch.nn.functional.gelu, approximate="tanh")}, FOLDER / "training.pth")


def torchscript(net):
    torch.jit.trace(net.eval(), torch.zeros(1, 3, 8, 8)).save(FOLDER / "cnn_traced.pt")
    torch.jit.script(Net().body.eval()).save(FOLDER / "modules_scripted.pt")


def main():
    FOLDER.mkdir(exist_ok=True)
    made = dtypes()
    safetensors.torch.save_file(made, FOLDER / "dtypes.safetensors", metadata={"format": "pt"})
    net, state = cnn()
    safetensors.torch.save_file(state, FOLDER / "cnn.safetensors", metadata={"format": "pt"})

    arrays = {name: tensor.numpy() for name, tensor in made.items() if name != "bf16"}
    np.savez(FOLDER / "dtypes.npz", **arrays)
    np.savez_compressed(FOLDER / "dtypes_deflated.npz", **arrays)
    np.savez(FOLDER / "cnn.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    np.save(FOLDER / "fortran.npy", np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)))
    np.save(FOLDER / "big_endian.npy", np.arange(6, dtype=">i4").reshape(2, 3))
    np.save(FOLDER / "objects.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)

    torch.save(made, FOLDER / "dtypes.pth")
    torch.save(made, FOLDER / "dtypes_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(state, FOLDER / "cnn.pth")
    torch.save({"epoch": 3, "state_dict": collections.OrderedDict(("module." + k, v) for k, v in state.items()),
                "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "best": 0.5}, FOLDER / "checkpoint.pth")
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    views = collections.OrderedDict(whole=whole, turned=whole.t(), part=whole[1:3, 2:5], column=whole[:, 4], spread=whole[0, :1].expand(3),
                                    parameter=nn.Parameter(whole[2].clone()))
    torch.save(views, FOLDER / "views.pth")
    torch.save(views, FOLDER / "views_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(Net().body, FOLDER / "modules.pth")
    whole_models()
    torchscript(net)


if __name__ == "__main__":
    main()
