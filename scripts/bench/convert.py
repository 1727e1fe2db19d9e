#!/usr/bin/env python3
"""Converts a 1 GB safetensors file to a checkpoint, against a copy of that file with fsync; prints times, ratios and the most memory.

    python3 scripts/bench/convert.py [--build build] [--rounds 5] [--folder DIR]

Both sides run in turns, the file in the page cache, the output new each time and safe on disk at the end; a ratio is of a pair of neighbours, and
the figure is the median of the pairs. A net of one large tensor and one of many: the first gives a single thread most of the hashing.
Memory is the peak of resident memory less that of converting a small file. DIR should be on the disk that is meant, not in memory.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

NETS = {"one large tensor": "16000,16000", "many": ",".join(["4000"] * 16)}


def convert(tool, *arguments):
    """Seconds and MiB."""
    start = time.perf_counter()
    child = subprocess.Popen([str(tool), *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{arguments}: exit {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def copy(source, target):
    start = time.perf_counter()
    shutil.copyfile(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - start


def foreign(source, target):
    """The same tensors without what ds keeps beside them."""
    with open(source, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        header.pop("__metadata__")
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(target, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            shutil.copyfileobj(file, out, 1 << 24)


def small(tool, build, folder):
    """MiB of a conversion of next to nothing."""
    model, weights, out = (folder / name for name in ("small.h5", "small.safetensors", "small-out.h5"))
    subprocess.run([build / "bin" / "ds-train", "--data", "digits", "--model", "mlp", "--epochs", "0", "-q", "-f", "-o", model], check=True,
                   stdout=subprocess.DEVNULL)
    convert(tool, model, "-o", weights, "-f")
    return convert(tool, weights, "-o", out, "-f")[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    tool = options.build / "bin" / "ds-convert"
    with tempfile.TemporaryDirectory(prefix="ds-bench-", dir=options.folder) as name:
        folder = pathlib.Path(name)
        paths = [folder / name for name in ("model.h5", "weights.safetensors", "other.safetensors", "out.h5", "copy.safetensors")]
        model, weights, other, out, copied = paths
        for title, hidden in NETS.items():
            arch = ["--set", f"model.hidden=[{hidden}]"]
            subprocess.run([options.build / "bin" / "ds-train", "--data", "digits", "--model", "mlp", *arch, "--epochs", "0", "-q", "-f", "-o", model],
                           check=True, stdout=subprocess.DEVNULL)
            convert(tool, model, "-o", weights, "-f")
            foreign(weights, other)
            model.unlink()
            base = small(tool, options.build, folder)
            cases = {"ours": [weights, "-o", out], "weights from elsewhere": [other, "--arch", "mlp", *arch, "-o", out]}
            size = weights.stat().st_size
            for case, arguments in cases.items():
                ratios, rows = [], []
                for _ in range(options.rounds):
                    for path in (out, copied):
                        path.unlink(missing_ok=True)
                    os.sync()
                    theirs = copy(weights, copied)
                    ours, peak = convert(tool, *arguments)
                    ratios.append(theirs / ours)
                    rows.append((theirs, ours, peak))
                copies, times, peaks = (statistics.median(column) for column in zip(*rows))
                print(f"{title}, {case}: {size / 1e9:.2f} GB; copy and fsync {copies:.2f} s, conversion {times:.2f} s; speed to the copy's "
                      f"{statistics.median(ratios):.2f} (of pairs: {', '.join(f'{r:.2f}' for r in sorted(ratios))}); "
                      f"peak memory {(peaks - base) * 2**20 / size:.2f} of the tensors")
            for path in (weights, other, out, copied):
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
