#!/usr/bin/env python3
"""Training against PyTorch, eager and compiled: seconds a step, peak memory, and whole runs to a fixed accuracy including the start of the process.

usage: scripts/bench/train.py [--nets cnn,...] [--precision float32,bf16] [--peers eager,compile] [--rounds N] [--epochs N] [--threads N] [--quick]

Needs a Python with torch 2.11, torchvision, timm, transformers, numpy and safetensors (the peers; torch.compile also wants g++), a build in build/ (or
DS_BIN), and the data of scripts/setup.sh. Nets: mlp and cnn on mnist5k, resnet18 and vit-tiny (patches of 4) on 32x32 images, bert6 (6 layers, 384
features) on 128 tokens. Both sides begin with the same weights (ds-train --epochs 0, ds-convert) and take the same steps on data of the same size that
is in memory. The peer has its best settings: channels-last, fused AdamW, set_to_none, batches gathered from tensors, bf16 by autocast.

The machine should be idle: where threads of PyTorch wait for a core that another program has, its barriers spin. --threads 1 is fairer there.

A step is that of the quickest epoch of a run, on both sides, which leaves out start-up and compilation. Memory is the process's peak less that of its
libraries, which a step of a net of one unit loads, on both sides. Runs alternate; a ratio is the
median of those of the rounds, below 1 = ds is better. `to 97 %` is the time from the start of a process until cnn has validated at that on mnist5k.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train_nets import NETS, data_spec

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DS_BIN", os.path.join(HERE, "..", "..", "build", "bin"))


def watch(command):
    """Runs a command and reads its events as they come: (seconds since its start, event) of each, its stdout, its peak of resident memory in bytes, and
    how long it ran."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        run = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        events, said = [], []
        for line in run.stderr:
            said.append(line)
            if line.startswith("{"):
                events.append((time.perf_counter() - begin, json.loads(line)))
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = status
        if status:
            sys.exit(f"{' '.join(map(str, command))}\n{''.join(said)}")
        out.seek(0)
        return events, out.read(), usage.ru_maxrss * 1024, time.perf_counter() - begin


def tool(name, *arguments):
    return [os.path.join(BIN, name), *map(str, arguments)]


def ours(net, args, epochs, precision):
    loop = ["--data", data_spec(net), "-b", NETS[net]["batch"], "--epochs", epochs, "--amp", "bf16" if precision == "bf16" else "off"]
    events, out, peak, wall = watch(tool("ds-train", *NETS[net]["model"], *loop, "--threads", args.threads, "--format", "json", "--progress", "jsonl"))
    record, rows = json.loads(out), [(at, row) for at, row in events if row["event"] == "epoch"]
    return {"step_s": NETS[net]["batch"] / max(row["samples_per_sec"] for _, row in rows), "memory": peak - args.libraries, "wall_s": wall, "rows": rows, "isa": record["isa"],
            "parameters": record["metrics"]["parameters"]}


def theirs(net, args, epochs, precision, mode, weights):
    job = {"net": net, "weights": weights, "epochs": epochs, "batch": NETS[net]["batch"], "threads": args.threads, "mode": mode, "precision": precision}
    # Its lines go to stderr, as our events do, so that both are read alike.
    command = ["/bin/sh", "-c", 'exec "$0" "$@" 1>&2', sys.executable, os.path.join(HERE, "train_nets.py"), json.dumps(job)]
    events, _, _, wall = watch(command)
    return {**events[-1][1], "wall_s": wall, "rows": events[:-1]}


def libraries_of_ds(args):
    return watch(tool("ds-train", "--model", "mlp", "--model.hidden", 1, "--data", "synthetic:shape=1x1x1,train=1,val=0,test=0", "--epochs", 1, "-b", 1,
                      "--threads", args.threads))[2]


def first_weights(net, folder):
    checkpoint, weights = os.path.join(folder, f"{net}.h5"), os.path.join(folder, f"{net}.safetensors")
    subprocess.run(tool("ds-train", *NETS[net]["model"], "--data", data_spec(net), "--epochs", 0, "-o", checkpoint, "-q"), check=True, stdout=subprocess.DEVNULL)
    subprocess.run(tool("ds-convert", checkpoint, "-o", weights, "-q"), check=True, stdout=subprocess.DEVNULL)
    return weights


def ratio(label, a, b, unit):
    ratios = sorted(x / y for x, y in zip(a, b))
    return f"{label:<28} ds {statistics.median(a):9.4g}{unit}   torch {statistics.median(b):9.4g}{unit}   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})"


def compare(net, precision, args, weights):
    """Rounds in turns; the order of the sides changes each time."""
    epochs, sides = args.epochs, ["ds", *args.peers]
    found = {side: [] for side in sides}
    for turn in range(args.rounds):
        for side in sides if turn % 2 == 0 else reversed(sides):
            found[side].append(ours(net, args, epochs, precision) if side == "ds" else theirs(net, args, epochs, precision, side, weights))
    a = found["ds"]
    print(f"{net}, {precision}, batch {NETS[net]['batch']}, {a[0]['parameters']} parameters, {args.threads} threads, isa {a[0]['isa']}, {args.rounds} rounds")
    for mode in args.peers:
        b = found[mode]
        if b[0]["parameters"] != a[0]["parameters"]:
            sys.exit(f"{net}: the peer has {b[0]['parameters']} parameters, ds {a[0]['parameters']}")
        print(ratio(f"  a step, to {mode}", [1e3 * r["step_s"] for r in a], [1e3 * r["step_s"] for r in b], " ms"))
        print(ratio(f"  whole run, to {mode}", [r["wall_s"] for r in a], [r["wall_s"] for r in b], " s"))
        print(ratio(f"  peak memory, to {mode}", [r["memory"] / 1e6 for r in a], [r["memory"] / 1e6 for r in b], " MB"), flush=True)


def to_accuracy(args, weights, bound=0.97):
    def when(run):
        reached = [at for at, row in run["rows"] if row.get("val_top1", 0) >= bound]
        return reached[0] if reached else float("nan")
    a, b = [], []
    for turn in range(args.rounds):
        sides = [lambda: a.append(when(ours("cnn", args, 6, "float32"))), lambda: b.append(when(theirs("cnn", args, 6, "float32", "eager", weights)))]
        for side in sides if turn % 2 == 0 else reversed(sides):
            side()
    print(f"cnn, float32, from the start of a process, 6 epochs of mnist5k planned\n{ratio(f'  to {bound:.0%}', a, b, ' s')}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")
    parser.add_argument("--nets", type=words, default=list(NETS))
    parser.add_argument("--precision", type=words, default=["float32"])
    parser.add_argument("--peers", type=words, default=["eager", "compile"])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="one round of two epochs, against eager, without the run to an accuracy")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.epochs, args.peers = 1, 2, ["eager"]
    args.libraries = libraries_of_ds(args)
    with tempfile.TemporaryDirectory(prefix="ds-train-bench-") as folder:
        for net in args.nets:
            weights = first_weights(net, folder)
            for precision in args.precision:
                compare(net, precision, args, weights)
            if net == "cnn" and not args.quick:
                to_accuracy(args, weights)


if __name__ == "__main__":
    main()
