#!/usr/bin/env python3
"""How fast the tools answer: --help, --version, a config error, and --inspect of a 100 MB checkpoint, each as a whole process.

usage: scripts/bench/start.py [--rounds N]

The bound is 30 ms. LibTorch must not be loaded: what the loader opens is looked at too. Beside it, `true` (the cost of a process) and, where
this Python has torch, the peer: `python3 -c "import torch"`. Medians of runs in turns. Needs the build with bench_load (ninja -C build bench_load).
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
BOUND_MS = 30


def took(command, expect):
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    ms = 1e3 * (time.perf_counter() - begin)
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}, expected {expect}\n{done.stderr.decode()}")
    return ms


def loads_torch(command):
    said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LD_DEBUG": "files"}).stderr
    return "libtorch" in said or "libds.so" in said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    tool = lambda name: os.path.join(BIN, name)
    with tempfile.TemporaryDirectory(prefix="ds-start-") as folder:
        config, checkpoint = os.path.join(folder, "bad.yaml"), os.path.join(folder, "100mb.h5")
        with open(config, "w") as file:
            file.write("optim: {lrr: 1}\n")
        subprocess.run([tool("bench_load"), "make", checkpoint, "32"], check=True, capture_output=True)
        rows = {
            "ds-train --help": ([tool("ds-train"), "--help"], 0),
            "ds-train --version": ([tool("ds-train"), "--version"], 0),
            "ds-train -c bad.yaml": ([tool("ds-train"), "-c", config], 2),
            f"ds-convert --inspect, {os.path.getsize(checkpoint) / 1e6:.0f} MB": ([tool("ds-convert"), "--inspect", checkpoint], 0),
        }
        peers = {"true": (["true"], 0)}
        if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0:
            peers["python3 -c 'import torch'"] = ([sys.executable, "-c", "import torch"], 0)
        times = {name: [] for name in [*rows, *peers]}
        for turn in range(args.rounds):
            for name, (command, expect) in {**rows, **peers}.items():
                if name in peers and turn >= 5:
                    continue
                times[name].append(took(command, expect))
        good = True
        for name, (command, _) in rows.items():
            middle, torch = statistics.median(times[name]), loads_torch(command)
            good = good and middle < BOUND_MS and not torch
            print(f"{name:<34} {middle:8.1f} ms   least {min(times[name]):6.1f} ms   bound {BOUND_MS} ms   {'LOADS LIBTORCH' if torch else 'LibTorch not loaded'}")
        for name in peers:
            print(f"{name:<34} {statistics.median(times[name]):8.1f} ms")
    sys.exit(0 if good else 5)


if __name__ == "__main__":
    main()
