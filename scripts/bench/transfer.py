#!/usr/bin/env python3
"""Adapters against training the whole net, on a shifted set: multiply-accumulates and time of a step, accuracy, size of what is kept.

usage: scripts/bench/transfer.py [--seeds N] [--samples N] [--epochs N] [--last N] [--threads N] [--noise N] [--invert]

The base is ds-train -c configs/mnist5k.yaml. The shifted set has the same digits, with noise (--invert: inverted too), and few of them to train on. Both ways begin
with the base and take the same epochs without augmentation, each with the learning rate that is best on the validation split at seed 0: one trains all
of the net, the other 1x1 convolutions beside its last ones and the last layer, with and without what the frozen front says of a sample being kept
(--cache-frozen: its one pass is counted, spread over the epochs). Multiply-accumulates are counted from the graph: forward, gradients of values, gradients
of weights. Accuracy is paired on the same test images, its interval is Student's over the seeds. Needs the build and the data of scripts/setup.sh.
"""
import argparse
import json
import math
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BIN = os.environ.get("DS_BIN", os.path.join(ROOT, "build", "bin"))
DATA = os.path.join(os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds"), "data", "mnist5k")
RATES = (0.0003, 0.001, 0.003, 0.01)
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}  # 97.5 % quantile by number of seeds


def run(tool, *arguments):
    done = subprocess.run([os.path.join(BIN, tool), *map(str, arguments), "--format", "json", "-q"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{tool}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def shifted(folder, samples, noise, invert=False):
    """The digits with uniform noise of +-noise, with bright and dark exchanged where `invert`; `samples` of the training split."""
    draw = random.Random(2024)
    for split in ("train", "val", "test"):
        pixels = open(os.path.join(DATA, f"{split}-images-idx3-ubyte"), "rb").read()
        labels = open(os.path.join(DATA, f"{split}-labels-idx1-ubyte"), "rb").read()
        count, height, width = struct.unpack(">3I", pixels[4:16])
        kept = min(count, samples) if split == "train" else count
        rows, area = [i * count // kept for i in range(kept)], height * width  # the file may be sorted by class
        values = b"".join(bytes(min(255, max(0, (255 - value if invert else value) + draw.randint(-noise, noise))) for value in pixels[16 + row * area:16 + (row + 1) * area])
                          for row in rows)
        with open(os.path.join(folder, f"{split}-images-idx3-ubyte"), "wb") as file:
            file.write(pixels[:4] + struct.pack(">3I", kept, height, width) + values)
        with open(os.path.join(folder, f"{split}-labels-idx1-ubyte"), "wb") as file:
            file.write(labels[:4] + struct.pack(">I", kept) + bytes(labels[8 + row] for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--last", type=int, default=2, help="convolutions that get an adapter")
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--noise", type=int, default=40)
    parser.add_argument("--invert", action="store_true", help="bright and dark are exchanged too, which the first layers must learn")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    common = ["--threads", args.threads] if args.threads else []
    ways = {"full": [], "adapter": ["--adapter", "conv1x1", "--adapter.rank", args.rank, "--adapter.last", args.last, "--adapter.head", "yes"]}
    ways["adapter, cached"] = [*ways["adapter"], "--cache-frozen"]
    with tempfile.TemporaryDirectory(prefix="ds-transfer-") as folder:
        spec = f"idx:{os.path.join(folder, 'shifted')}"
        os.makedirs(spec[4:])
        shifted(spec[4:], args.samples, args.noise, args.invert)
        base = os.path.join(folder, "base.h5")
        run("ds-train", "-c", os.path.join(ROOT, "configs", "mnist5k.yaml"), *common, "-o", base)
        print(f"base: {100 * run('ds-eval', base)['metrics']['test_top1']:.1f} % on its own test images, "
              f"{100 * run('ds-eval', base, '--data', spec)['metrics']['test_top1']:.1f} % on the shifted ones", flush=True)

        def train(way, rate, seed):
            return run("ds-train", "--init", base, "--data", spec, "--epochs", args.epochs, "--batch-size", 50, "--lr", rate, "--seed", seed, *common,
                       *ways[way], "-o", os.path.join(folder, f"{way[:7]}.h5"), "-f")

        rate = {way: max(RATES, key=lambda value: train(way, value, 0)["metrics"]["val_top1"]) for way in ("full", "adapter")}
        rate["adapter, cached"] = rate["adapter"]
        runs = {way: [] for way in ways}
        for seed in range(1, args.seeds + 1):
            for way in ways:
                runs[way].append(train(way, rate[way], seed))
            print(f"seed {seed}: " + "  ".join(f"{way} {100 * runs[way][-1]['metrics']['test_top1']:.1f} %" for way in ways), flush=True)
        size = os.path.getsize(os.path.join(folder, "adapter.h5")), os.path.getsize(base)

    def macs(record):
        return record["metrics"]["train_macs"] + record.get("cached", {}).get("front_macs", 0) / args.epochs

    def step(way):
        return 50 / statistics.median(record["metrics"]["samples_per_sec"] for record in runs[way])

    good = True
    for way in ways:
        top1 = [100 * record["metrics"]["test_top1"] for record in runs[way]]
        apart = [a - b for a, b in zip(top1, (100 * record["metrics"]["test_top1"] for record in runs["full"]))]
        half = STUDENT.get(args.seeds, 1.96) * statistics.stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else float("nan")
        work, time = macs(runs[way][0]) / macs(runs["full"][0]), step(way) / step("full")
        print(f"{way:<16} lr {rate[way]:<7g} {statistics.mean(top1):6.2f} %  paired {statistics.mean(apart):+.2f} +- {half:.2f} points   "
              f"{macs(runs[way][0]) / 1e6:7.2f} M multiply-accumulates a sample ({100 * (1 - work):.0f} % below)   {1e3 * step(way):6.2f} ms a step ({100 * (1 - time):.0f} % below)")
        if way == "adapter, cached":
            good = work <= 0.4 and time <= 0.4 and statistics.mean(apart) >= 0
    print(f"file of the adapter: {size[0]} bytes, base: {size[1]}; trained parameters {runs['adapter'][0]['adapter']['trained_parameters']}")
    print("at least 60 % below in work and time, at equal or better accuracy: " + ("holds" if good else "NOT REACHED"))
    sys.exit(0 if good else 5)


if __name__ == "__main__":
    main()
