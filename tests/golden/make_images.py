#!/usr/bin/env python3
"""Writes tests/golden/images: small pictures of each kind and what PIL and torchvision make of them, for tests/unit/io/image_test.cpp.

Run by hand when a kind is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 numpy torch==2.11.0 torchvision==0.26.0 && venv/bin/python tests/golden/make_images.py

expected.json: "pictures": name -> {"height", "width", "L": hex, "RGB": hex}, "resized": [{"source", "filter", "height", "width", "pixels"}],
"fitted": [{"preprocessing", "source", "pixels"}], each of pixels [H,W,C] row by row. PNG files come from the few lines below, since PIL writes
neither 16 bits of colour, nor interlacing, nor 2 bits of grey. PIL clips 16 bits of grey at 255 in convert(); the upper 8 bits are expected here,
as PIL itself takes them of 16 bits of colour.
"""
import io
import json
import pathlib
import platform
import struct
import zlib

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision import transforms

FOLDER = pathlib.Path(__file__).parent / "images"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(values, bits):
    """Rows of [H, W, C] values as PNG stores them, each with filter 0."""
    rows = b""
    for row in values.reshape(len(values), -1):
        if bits == 16:
            rows += b"\0" + row.astype(">u2").tobytes()
        else:
            line = "".join(format(int(value), f"0{bits}b") for value in row)
            line += "0" * (-len(line) % 8)
            rows += b"\0" + int(line, 2).to_bytes(len(line) // 8, "big")
    return rows


def png(values, kind, bits=8, interlaced=False, chunks=()):
    height, width, _ = values.shape
    parts = [values[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [values]
    rows = b"".join(packed(part, bits) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def noise(height, width, channels, most, seed):
    return np.random.default_rng(seed).integers(0, most + 1, (height, width, channels))


def scene(height, width):
    """Smooth colours with an edge and some grain."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / 7 + c) + 37 * np.cos(y / (3 + c)) + 40 * ((x + 2 * y) % 31 < 9) for c in range(3)]
    grain = np.random.default_rng(5).integers(-9, 10, (height, width, 3))
    return np.clip(np.stack(planes, 2) + grain, 0, 255).astype(np.uint8)


def pictures():
    palette = noise(1, 256, 3, 255, 1).astype(np.uint8).tobytes()
    made = {}
    for bits in (1, 2, 4, 8, 16):
        made[f"grey{bits}.png"] = png(noise(7, 11, 1, 2**bits - 1, bits), GREY, bits)
        if bits < 16:
            made[f"palette{bits}.png"] = png(noise(7, 11, 1, 2**bits - 1, bits), PALETTE, bits, chunks=[(b"PLTE", palette[: 3 * 2**bits])])
    for bits in (8, 16):
        made[f"rgb{bits}.png"] = png(noise(7, 11, 3, 2**bits - 1, bits), RGB, bits)
        made[f"rgba{bits}.png"] = png(noise(7, 11, 4, 2**bits - 1, bits), RGBA, bits)
        made[f"grey_alpha{bits}.png"] = png(noise(7, 11, 2, 2**bits - 1, bits), GREY_ALPHA, bits)
    made["palette_transparent.png"] = png(noise(7, 11, 1, 15, 3), PALETTE, 4, chunks=[(b"PLTE", palette[:48]), (b"tRNS", bytes(range(0, 160, 16)))])
    made["grey_transparent.png"] = png(noise(7, 11, 1, 3, 4), GREY, 8, chunks=[(b"tRNS", b"\0\2")])
    made["rgb_transparent.png"] = png(noise(7, 11, 3, 1, 4), RGB, 8, chunks=[(b"tRNS", b"\0\1\0\1\0\0")])
    made["gamma.png"] = png(noise(7, 11, 3, 255, 6), RGB, 8, chunks=[(b"gAMA", struct.pack(">I", 100000))])
    made["interlaced.png"] = png(noise(13, 11, 3, 255, 7), RGB, 8, interlaced=True)
    made["interlaced1.png"] = png(noise(13, 11, 1, 1, 8), GREY, 1, interlaced=True)
    made["one.png"] = png(noise(1, 1, 3, 255, 9), RGB, 8)
    picture = Image.fromarray(scene(21, 27))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: of no effect here as in PIL's open
    options = {"420": {"quality": 75}, "444": {"quality": 95, "subsampling": 0}, "422": {"quality": 85, "subsampling": 1},
               "progressive": {"quality": 80, "progressive": True}, "turned": {"quality": 60, "exif": exif}}
    for name, option in options.items():
        file = io.BytesIO()
        picture.save(file, "JPEG", **option)
        made[f"{name}.jpg"] = file.getvalue()
    for name, mode in (("grey", "L"), ("cmyk", "CMYK")):
        file = io.BytesIO()
        picture.convert(mode).save(file, "JPEG", quality=85)
        made[f"{name}.jpg"] = file.getvalue()
    file = io.BytesIO()
    Image.fromarray(scene(47, 61)).save(file, "PNG")
    made["scene.png"] = file.getvalue()
    return made


def hexadecimal(image):
    return np.asarray(image).astype(np.uint8).tobytes().hex()


def modes(data):
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    entry = {"height": image.height, "width": image.width, "L": hexadecimal(image.convert("L"))}
    return {**entry, "RGB": hexadecimal(image.convert("RGB"))}


def fitted(image, document):
    """What torchvision's transforms of the same meaning give."""
    _, height, width = document["shape"]
    interpolation = transforms.InterpolationMode.BICUBIC if document.get("interpolation") == "bicubic" else transforms.InterpolationMode.BILINEAR
    size = document.get("resize", min(height, width)) if document.get("crop", True) else [height, width]
    return transforms.CenterCrop((height, width))(transforms.Resize(size, interpolation)(image))


FITS = [{"shape": [3, 16, 16]}, {"shape": [3, 50, 50]}, {"shape": [3, 16, 16], "resize": 19}, {"shape": [3, 24, 24], "resize": 27, "interpolation": "bicubic"},
        {"shape": [3, 20, 30], "crop": False}, {"shape": [3, 15, 18], "resize": [31, 20]}, {"shape": [3, 30, 30], "resize": 47}]


def main():
    FOLDER.mkdir(exist_ok=True)
    made = pictures()
    expected = {"versions": {"python": platform.python_version(), "pillow": PIL.__version__, "torchvision": torchvision.__version__},
                "pictures": {}, "resized": [], "fitted": []}
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)
        expected["pictures"][name] = modes(data)
    image = Image.open(io.BytesIO(made["scene.png"]))
    for name, kind in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        for height, width in ((13, 17), (47, 10), (60, 61), (60, 20), (1, 1), (46, 62)):
            pixels = hexadecimal(image.resize((width, height), kind))
            expected["resized"].append({"source": "scene.png", "filter": name, "height": height, "width": width, "pixels": pixels})
    for document in FITS:
        for source in ("scene.png", "420.jpg"):
            picture = Image.open(io.BytesIO(made[source])).convert("RGB")
            expected["fitted"].append({"preprocessing": document, "source": source, "pixels": hexadecimal(fitted(picture, document))})
    (FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


main()
