"""What the tests of the compression tools share: small nets on the digits, trained once a file, and looks into checkpoints."""
import atexit
import json
import os
import shutil
import subprocess
import tempfile

from cli import check, run

BUILD = os.environ.get("DS_BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
MODELS = {
    "cnn": ["--data", "digits", "--model", "cnn", "--set", "model.width=8", "--epochs", 4],
    "mlp": ["--data", "digits", "--model", "mlp", "--set", "model.hidden=[16]", "--epochs", 2],
    "vit": ["--data", "digits", "--model", "vit_tiny", "--epochs", 1, "--set", "model.depth=2", "--set", "model.dim=24", "--set", "model.heads=3",
            "--set", "model.mlp_dim=32", "--set", "model.patch_size=4"],
}
_made = {}


def trained(name):
    """The checkpoint of a net of MODELS."""
    if not _made:
        _made[""] = tempfile.mkdtemp(prefix="ds-lab-")
        atexit.register(shutil.rmtree, _made[""])
    if name not in _made:
        _made[name] = f"{_made['']}/{name}.h5"
        run("ds-train", *MODELS[name], *SMALL, "-o", _made[name])
    return _made[name]


def quantized(name):
    """Its int8 twin."""
    source = trained(name)
    if f"{name} int8" not in _made:
        _made[f"{name} int8"] = f"{_made['']}/{name}-int8.h5"
        run("ds-quantize", source, *SMALL, "-o", _made[f"{name} int8"])
    return _made[f"{name} int8"]


def tensors(path):
    """{name: (dtype, shape, values in one row)}"""
    done = subprocess.run([f"{BUILD}/bin/dump_tensors", path], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, done.stderr)
    return {name: (t["dtype"], t["shape"], t["values"]) for name, t in json.loads(done.stdout).items()}


def rows(tensor):
    """The slices along the first axis, as tuples."""
    _, shape, values = tensor
    width = len(values) // shape[0] if shape[0] else 0
    return [tuple(values[i * width:(i + 1) * width]) for i in range(shape[0])]


def places(part, whole):
    """At which places of `whole` the entries of `part` stand, in order; each has to be there."""
    found, at = [], 0
    for entry in part:
        while at < len(whole) and whole[at] != entry:
            at += 1
        check(at < len(whole), entry, "is no entry of", whole)
        found.append(at)
        at += 1
    return found


def inspect(path):
    return run("ds-convert", path, "--inspect", "--format", "json").record


def digest(result):
    return result.record["outputs"][0]["digest"]
