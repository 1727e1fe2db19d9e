#!/usr/bin/env python3
"""A folder of JPEG pictures: decoded, resized and cropped pictures a second, against torchvision's DataLoader with as many workers as ds has threads.

usage: scripts/bench/loader.py [--workers 1,2] [--pictures N] [--rounds N] [--size 224] [--epochs 10]

Needs a Python with torch, torchvision, numpy and scikit-learn (its photographs; the peers), and a build in build/ (or DS_BIN). The pictures are cut out of
scikit-learn's photographs at 500x375 and quality 90, 8 classes. The peer is ImageFolder with Resize, CenterCrop and PILToTensor in a DataLoader of batches of 64
with persistent workers; its second epoch is timed, so that starting workers does not count. Its other way, torchvision.io.decode_image, is timed too and
the quicker one is taken. ds decodes a folder once, into memory, when it is opened: its rate is that of --epochs 0 on all pictures less the time on few, so
that the start of the process does not count. What a user gets is printed too: pictures a second over --epochs epochs, decoding included, on both sides (the
epochs of ds after the first read memory; of these only gathering and normalising is left). Runs alternate; ratios are medians, above 1 = ds is faster.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DS_BIN", os.path.join(HERE, "..", "..", "build", "bin"))
FEW = 64


def make_pictures(folder, count):
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images
    photographs, random = load_sample_images().images, np.random.default_rng(1)
    for i in range(count):
        photograph = photographs[i % len(photographs)]
        top, left = random.integers(photograph.shape[0] - 375 + 1), random.integers(photograph.shape[1] - 500 + 1)
        place = os.path.join(folder, "train", f"class{i % 8}")
        os.makedirs(place, exist_ok=True)
        Image.fromarray(photograph[top:top + 375, left:left + 500]).save(os.path.join(place, f"{i:05d}.jpg"), quality=90)


def ours(folder, size, threads, epochs=0):
    """Seconds of a process that opens the folder, and trains the smallest net there is for so many epochs."""
    begin = time.perf_counter()
    subprocess.run([os.path.join(BIN, "ds-train"), "--model", "mlp", "--model.hidden", "1", "--data", f"folder:{folder}?size={size}", "--epochs", str(epochs), "-b", "64",
                    "--threads", str(threads), "-q"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def theirs(folder, size, workers):
    """Pictures a second of the second epoch, of the quicker of the two ways to decode."""
    import torch
    from torchvision import datasets, io, transforms
    by_pil = dict(transform=transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()]))
    by_own = dict(transform=transforms.Compose([transforms.Resize(size, antialias=True), transforms.CenterCrop(size)]),
                  loader=lambda path: io.decode_image(path, mode=io.ImageReadMode.RGB))
    rates = {}
    for name, way in (("PIL", by_pil), ("torchvision.io", by_own)):
        data = datasets.ImageFolder(os.path.join(folder, "train"), **way)
        loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=workers, persistent_workers=True)
        for _ in loader:
            pass
        begin, seen = time.perf_counter(), 0
        for images, _ in loader:
            seen += len(images)
        rates[name] = seen / (time.perf_counter() - begin)
        del loader
    best = max(rates, key=rates.get)
    return rates[best], best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--pictures", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    import torch
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="ds-loader-") as folder:
        whole, few = os.path.join(folder, "whole"), os.path.join(folder, "few")
        make_pictures(whole, args.pictures)
        make_pictures(few, FEW)
        print(f"{args.pictures} JPEG pictures of 500x375 to {args.size}x{args.size}, {args.rounds} rounds in turns")
        for workers in args.workers:
            rates, epochs, peers, ways = [], [], [], []
            for turn in range(args.rounds):
                for side in ("ds", "peer") if turn % 2 == 0 else ("peer", "ds"):
                    if side == "ds":
                        start = ours(few, args.size, workers)
                        decode = ours(whole, args.size, workers) - start
                        rates.append((args.pictures - FEW) / decode)
                        epochs.append(args.epochs * args.pictures / (ours(whole, args.size, workers, args.epochs) - start))
                    else:
                        rate, way = theirs(whole, args.size, workers)
                        peers.append(rate)
                        ways.append(way)
            for name, mine in (("decoded", rates), (f"seen in {args.epochs} epochs", epochs)):
                ratios = sorted(a / b for a, b in zip(mine, peers))
                print(f"{workers} threads or workers, {name:<18} ds {statistics.median(mine):7.0f}/s   torchvision {statistics.median(peers):7.0f}/s ({statistics.mode(ways)})   "
                      f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})", flush=True)


if __name__ == "__main__":
    main()
