#!/usr/bin/env python3
"""Accuracy and size of the main job with default settings, over several seeds.

usage: scripts/bench/accuracy.py [--seeds N] [--threads N] [--keep DIR]

For each seed: ds-train -c configs/mnist5k.yaml, half of the channels pruned (4 epochs of fine-tuning), distilled (4 epochs), static int8.
Accuracy is read on the 1,000 test images; losses are paired, on the same images. A figure is the mean over the seeds, with the standard
error of that mean; each line says which bound it is held against. Needs the build and the data of scripts/setup.sh, nothing else.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BIN = os.environ.get("DS_BIN", os.path.join(ROOT, "build", "bin"))
MODELS = ("base", "pruned", "distilled", "int8")


def run(tool, *arguments):
    done = subprocess.run([os.path.join(BIN, tool), *map(str, arguments), "--format", "json", "-q"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{tool}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def main_job(folder, seed, threads):
    """The records of ds-bench for the four models, by name."""
    path = {name: os.path.join(folder, f"{name}-{seed}.h5") for name in MODELS}
    common = ["--seed", seed, *(["--threads", threads] if threads else [])]
    run("ds-train", "-c", os.path.join(ROOT, "configs", "mnist5k.yaml"), *common, "-o", path["base"])
    run("ds-prune", path["base"], "--ratio", 0.5, "--finetune-epochs", 4, *common, "-o", path["pruned"])
    run("ds-distill", path["pruned"], "--teacher", path["base"], "--temperature", 2.0, "--soft-weight", 0.7, "--epochs", 4, *common, "-o", path["distilled"])
    run("ds-quantize", path["distilled"], "--method", "static", *common, "-o", path["int8"])
    record = run("ds-bench", *path.values(), "--batch", 1, "--rounds", 5, "--warmup", 0, "--min-time", 0, *(common[2:]))
    return dict(zip(MODELS, record["results"])), record["isa"]


def line(name, values, bound, good):
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
    mean = statistics.mean(values)
    print(f"{name:<46} {mean:8.3f} +- {error:.3f}   {bound:<22} {'holds' if good(mean) else 'NOT REACHED'}   each: {' '.join(f'{v:.3f}' for v in values)}")
    return good(mean)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--keep", help="folder for the checkpoints; else they are removed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ds-accuracy-") as scratch:
        folder = args.keep or scratch
        os.makedirs(folder, exist_ok=True)
        runs = []
        for seed in range(1, args.seeds + 1):
            results, isa = main_job(folder, seed, args.threads)
            runs.append(results)
            print(f"seed {seed}: " + "  ".join(f"{name} {100 * results[name]['test_top1']:.1f} %" for name in MODELS), flush=True)
    print(f"isa {isa}, {args.seeds} seeds, configs/mnist5k.yaml, {runs[0]['base']['parameters']} parameters")
    points = lambda a, b: [100 * (r[a]["test_top1"] - r[b]["test_top1"]) for r in runs]
    good = [
        line("base: test accuracy, %", [100 * r["base"]["test_top1"] for r in runs], ">= 98.2", lambda v: v >= 98.2),
        line("pruned by half, distilled: paired loss, points", points("base", "distilled"), "<= 0.4", lambda v: v <= 0.4),
        line("int8 of that: paired loss, points", points("distilled", "int8"), "<= 0.3", lambda v: v <= 0.3),
        line("int8: tensor bytes with scales / float parent", [r["int8"]["tensor_bytes"] / r["distilled"]["tensor_bytes"] for r in runs], "<= 0.27", lambda v: v <= 0.27),
        line("int8: file - 0.27 x float parent's file, KiB", [(r["int8"]["file_bytes"] - 0.27 * r["distilled"]["file_bytes"]) / 1024 for r in runs], "<= 64",
             lambda v: v <= 64),
    ]
    sys.exit(0 if all(good) else 5)


if __name__ == "__main__":
    main()
