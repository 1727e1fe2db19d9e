#!/usr/bin/env python3
"""watching.py [--rounds N] [--epochs N]

What it costs to be watched: the same run with all trackers off, with those of a run folder (metrics.jsonl, TensorBoard, report.html), and with
/metrics and a metrics file beside. Rounds alternate; printed are the median CPU and wall time of a run, and what they are to the first.

Environment: DS_BIN, the folder of the tools (default: build/bin).
"""
import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BIN = os.environ.get("DS_BIN", os.path.join(ROOT, "build/bin"))
OFF = ["--set", "watch.jsonl=false", "--set", "watch.tensorboard=false", "--set", "watch.page=false"]
NETS = {"mlp on digits, batch 64": ["--data", "digits", "--model", "mlp"], "cnn on mnist5k, batch 64": ["--data", "mnist5k", "--model", "cnn"]}


def used(folder, net, epochs, more):
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([f"{BIN}/ds-train", *net, "--epochs", str(epochs), "--threads", "1", "--progress", "none", "-q", "--run-dir", f"{folder}/r", "-f", *more], check=True,
                   stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=0, help="default: 100 of digits, 4 of mnist5k")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ds-bench-") as folder:
        ways = {"off": OFF, "run folder": [], "and Prometheus": ["--metrics-port", "0", "--metrics-file", f"{folder}/m.prom"]}
        for name, net in NETS.items():
            epochs = arguments.epochs or (100 if "digits" in name else 4)
            times = {way: [] for way in ways}
            for _ in range(arguments.rounds):
                for way, more in ways.items():
                    times[way].append(used(folder, net, epochs, more))
            first = None
            for way, pairs in times.items():
                cpu, wall = (statistics.median(values) for values in zip(*pairs))
                first = first or (cpu, wall)
                print(f"{name}: {way:15} CPU {cpu:7.3f} s {cpu / first[0]:.3f}   wall {wall:7.3f} s {wall / first[1]:.3f}", flush=True)


main()
