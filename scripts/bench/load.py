#!/usr/bin/env python3
"""Loads a 500 MB checkpoint, verified and not, against safetensors' load_file of the same tensors; prints times and ratios.

    ninja -C build bench_load
    python3 scripts/bench/load.py [--build build] [--rounds 5]

Needs the Python packages safetensors and numpy, and torch for the peer at its best (its tensors are mapped; numpy's are copied).
Both sides run in turns, each in a process of its own with the file in the page cache; a figure is the median of 11 loads, and of those the
median of the rounds.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEER = """
import json, statistics, sys, time
try:
    import torch
    from safetensors.torch import load_file, save_file
    name, make = "torch", lambda i: torch.arange(763 * 1024, dtype=torch.float32).reshape(763, 1024) + i
except ImportError:
    import numpy
    from safetensors.numpy import load_file, save_file
    name, make = "numpy", lambda i: numpy.arange(763 * 1024, dtype=numpy.float32).reshape(763, 1024) + i
path = sys.argv[2]
if sys.argv[1] == "make":
    save_file({f"layer{i}.weight": make(i) for i in range(160)}, path)
else:
    load_file(path)
    times = []
    for _ in range(11):
        start = time.perf_counter()
        load_file(path)
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"peer": name, "load_ms": statistics.median(times)}))
"""


def call(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "build")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ours = options.build / "bin" / "bench_load"
    if not ours.exists():
        sys.exit(f"{ours} is not there: ninja -C {options.build} bench_load")
    rows = []
    with tempfile.TemporaryDirectory(prefix="ds-bench-") as folder:
        checkpoint, peer_file = pathlib.Path(folder) / "a.h5", pathlib.Path(folder) / "a.safetensors"
        call(ours, "make", checkpoint)
        call(sys.executable, "-c", PEER, "make", peer_file)
        for _ in range(options.rounds):
            rows.append({**json.loads(call(ours, "time", checkpoint, 11)), **json.loads(call(sys.executable, "-c", PEER, "time", peer_file))})
    bare, verified, peer = (statistics.median(row[key] for row in rows) for key in ("unverified_ms", "verified_ms", "load_ms"))
    size = rows[0]["bytes"]
    print(f"160 float32 tensors, {size / 1e6:.0f} MB, warm page cache, medians of {len(rows)} rounds")
    print(f"unverified             {bare:8.2f} ms  {bare / peer:5.2f}x of safetensors")
    print(f"verified               {verified:8.2f} ms  {size / verified / 1e6:5.1f} GB/s")
    print(f"safetensors ({rows[0]['peer']})    {peer:8.2f} ms")


if __name__ == "__main__":
    main()
