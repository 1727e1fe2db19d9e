#!/usr/bin/env python3
"""Test accuracy with each of some regularizers, and without, over several seeds.

usage: scripts/bench/regularize.py [--data digits] [--model cnn] [--epochs N] [--seeds N] [--threads N] [--only NAME ...]

Each line is a run of ds-train with defaults and the options that it names; dropout and smoothing are off but where named. A figure is the mean over the
seeds with its standard error; `against` is the mean of the paired differences to the plain runs of the same seeds, with a 95 % interval (Student's t).
Needs the build and the data of scripts/setup.sh, nothing else.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BIN = os.environ.get("DS_BIN", os.path.join(ROOT, "build", "bin"))
PLAIN = ["--dropout", 0, "--smoothing", 0]
RUNS = {
    "nothing": [],
    "dropout 0.3": ["--dropout", 0.3],
    "label smoothing": ["--smoothing", 0.1],
    "elastic net": ["--regularize.l1", 1e-5, "--regularize.l2", 1e-3],
    "spatial dropout": ["--regularize.spatial_dropout", 0.1],
    "mixup": ["--mixup", 0.2],
    "cutmix": ["--cutmix", 1],
    "mixup or cutmix": ["--mixup", 0.2, "--cutmix", 1],
    "random erasing": ["--reprob", 0.25],
    "affine": ["--augment", "affine"],
    "RandAugment": ["--augment", "rand-augment:2:9"],
    "weight EMA": ["--model-ema", "--model-ema-decay", 0.99],
    "SWA": ["--swa", "LAST"],
    "orthogonal": ["--regularize.orthogonal", 1e-3],
    "spectral norm": ["--regularize.spectral_norm", 2],
    "R-Drop": ["--dropout", 0.3, "--regularize.r_drop", 1],
    "SAM": ["--sam", 0.05],
    "gradient noise": ["--regularize.gradient_noise", 1e-5],
}
# Two-sided 95 % of Student's t by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def accuracy(args, options, seed):
    words = [str(max(1, args.epochs * 3 // 4)) if word == "LAST" else str(word) for word in options]
    plain = [] if "--dropout" in words else PLAIN[:2]
    plain = plain + ([] if "--smoothing" in words else PLAIN[2:])
    command = [os.path.join(BIN, "ds-train"), "--data", args.data, "--model", args.model, "--epochs", args.epochs,
               *plain, *words, "--seed", seed, "--format", "json", "-q",
               *(["--threads", args.threads] if args.threads else [])]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return 100 * json.loads(done.stdout)["metrics"]["test_top1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 11), metavar="2..10")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of some of the lines")
    args = parser.parse_args()
    print(f"{args.data}, {args.model}, {args.epochs} epochs, {args.seeds} seeds: test accuracy, %")
    plain = None
    for name, options in RUNS.items():
        if args.only and name != "nothing" and name not in args.only:
            continue
        values = [accuracy(args, options, seed) for seed in range(1, args.seeds + 1)]
        error = statistics.stdev(values) / math.sqrt(len(values))
        text = f"{name:<18} {statistics.mean(values):6.2f} +- {error:.2f}"
        if plain is None:
            plain = values
        else:
            differences = [a - b for a, b in zip(values, plain)]
            half = T95[len(values) - 1] * statistics.stdev(differences) / math.sqrt(len(values))
            mean = statistics.mean(differences)
            text += f"   against nothing {mean:+.2f} ({mean - half:+.2f} .. {mean + half:+.2f})"
        print(text, flush=True)


if __name__ == "__main__":
    main()
