#!/usr/bin/env python3
"""Training the default net, against PyTorch: seconds a step, and whole runs including the start of the process.

usage: scripts/bench/train.py [--epochs N] [--rounds N] [--threads N] [--model cnn]

Needs a Python with torch (the peer) and numpy, a build in build/ (or DS_BIN), and the data of scripts/setup.sh. The peer has its best
settings: channels-last, fused AdamW, set_to_none, batches gathered from tensors that are in memory (DataLoader with a batch sampler and
no workers: with workers it is slower on data this small). Both read the same files, run the same net with the same batch size and number
of epochs, without augmentation, and validate after each epoch. A step is taken from the quickest epoch of a run, on both sides. Runs
alternate; ratios are of medians, below 1 = ds is faster.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DS_BIN", os.path.join(HERE, "..", "..", "build", "bin"))
HOME = os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ds")


def peer(epochs, threads):
    """The same job in PyTorch eager; prints {"step_s", "val_top1"} as JSON."""
    import numpy as np
    import torch
    from torch import nn
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

    torch.set_num_threads(threads)
    torch.manual_seed(42)

    def idx(name):
        raw = open(os.path.join(HOME, "data", "mnist5k", name), "rb").read()
        rank = raw[3]
        dims = struct.unpack(">" + "I" * rank, raw[4:4 + 4 * rank])
        return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(dims).copy())

    def split(name):
        x = idx(f"{name}-images-idx3-ubyte").float().div(255).sub(0.1312).div(0.3085).unsqueeze(1)
        return TensorDataset(x.contiguous(memory_format=torch.channels_last), idx(f"{name}-labels-idx1-ubyte").long())

    def block(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]

    w = 32
    model = nn.Sequential(*block(1, w), nn.MaxPool2d(2), *block(w, w), *block(w, 2 * w), nn.MaxPool2d(2), *block(2 * w, 2 * w),
                          *block(2 * w, 2 * w), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(2 * w, 10))
    model = model.to(memory_format=torch.channels_last)
    train, val = split("train"), split("val")

    class Gather:
        """Batches by index: DataLoader's default collation of single samples costs more than the net."""
        def __init__(self, data):
            self.x, self.y = data.tensors
        def __len__(self):
            return len(self.y)
        def __getitem__(self, index):
            return self.x[index].contiguous(memory_format=torch.channels_last), self.y[index]

    loader = DataLoader(Gather(train), sampler=BatchSampler(RandomSampler(train), 64, False), batch_size=None)
    check = DataLoader(Gather(val), sampler=BatchSampler(SequentialSampler(val), 250, False), batch_size=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=epochs * len(loader))
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    seconds = []
    for _ in range(epochs):
        model.train()
        begin = time.perf_counter()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds.append((time.perf_counter() - begin) / len(loader))
        model.eval()
        with torch.inference_mode():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in check)
    print(json.dumps({"step_s": min(seconds), "val_top1": right / len(val), "parameters": sum(p.numel() for p in model.parameters())}))


def ours(epochs, threads):
    begin = time.perf_counter()
    run = subprocess.run([os.path.join(BIN, "ds-train"), "--model", "cnn", "--data", "mnist5k", "--epochs", str(epochs), "--threads", str(threads), "--format", "json",
                          "--progress", "jsonl"], capture_output=True, text=True)
    wall = time.perf_counter() - begin
    if run.returncode:
        sys.exit(run.stderr)
    record = json.loads(run.stdout)
    epochs_seen = [event for event in map(json.loads, run.stderr.splitlines()) if event["event"] == "epoch"]
    return {"wall_s": wall, "step_s": 64 / max(event["samples_per_sec"] for event in epochs_seen), "val_top1": record["metrics"]["val_top1"],
            "parameters": record["metrics"]["parameters"], "isa": record["isa"]}


def theirs(epochs, threads):
    begin = time.perf_counter()
    run = subprocess.run([sys.executable, os.path.abspath(__file__), "--peer", "--epochs", str(epochs), "--threads", str(threads)], capture_output=True, text=True)
    wall = time.perf_counter() - begin
    if run.returncode:
        sys.exit(run.stderr)
    return {"wall_s": wall, **json.loads(run.stdout)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.epochs, args.threads)
    a, b = [], []
    for _ in range(args.rounds):
        a.append(ours(args.epochs, args.threads))
        b.append(theirs(args.epochs, args.threads))
    print(f"isa {a[0]['isa']}, {args.threads} threads, {args.epochs} epochs of mnist5k, batch 64, {a[0]['parameters']} parameters (peer {b[0]['parameters']}), "
          f"{args.rounds} rounds in turns")
    for key, name in (("step_s", "a step"), ("wall_s", "whole run")):
        x, y = [r[key] for r in a], [r[key] for r in b]
        ratios = sorted(p / q for p, q in zip(x, y))
        print(f"{name:<10} ds {statistics.median(x):.4f} s   torch {statistics.median(y):.4f} s   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})")
    print(f"val top-1: ds {statistics.median(r['val_top1'] for r in a):.3f}, torch {statistics.median(r['val_top1'] for r in b):.3f}")


if __name__ == "__main__":
    main()
