#!/usr/bin/env python3
"""Writes tests/golden/augment.json: what torchvision makes of a small picture, for tests/unit/data/augment_test.cpp.

Run by hand: python3 -m venv venv && venv/bin/pip install torch==2.11.0 torchvision==0.26.0 && venv/bin/python tests/golden/make_augment.py
Pixel i of the picture [3, 20, 20] is (i * i * 7 + i * 31) % 256, halved and moved by 40 in the second channel.
"""
import json
import pathlib

import torch
from torchvision.transforms import functional as F

i = torch.arange(1200)
picture = ((i * i * 7 + i * 31) % 256).reshape(3, 20, 20)
picture[1] = picture[1] // 2 + 40
picture = picture.to(torch.uint8)
outputs = {
    "brightness 0.6": F.adjust_brightness(picture, 0.6),
    "brightness 1.5": F.adjust_brightness(picture, 1.5),
    "saturation 0.3": F.adjust_saturation(picture, 0.3),
    "contrast 1.7": F.adjust_contrast(picture, 1.7),
    "sharpness 0.2": F.adjust_sharpness(picture, 0.2),
    "sharpness 1.8": F.adjust_sharpness(picture, 1.8),
    "posterize 5": F.posterize(picture, 5),
    "solarize 100": F.solarize(picture, 100),
    "autocontrast": F.autocontrast(picture),
    "equalize": F.equalize(picture),
}
text = ",\n".join(f' "{name}": {json.dumps(value.flatten().tolist(), separators=(",", ":"))}' for name, value in outputs.items())
(pathlib.Path(__file__).parent / "augment.json").write_text("{\n" + text + "\n}\n")
