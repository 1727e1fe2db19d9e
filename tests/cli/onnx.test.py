#!/usr/bin/env python3
"""ds-convert to ONNX and back, judged by ONNX Runtime and ONNX's own checker on the same inputs as our engine."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import peer  # noqa: E402

peer.run_with(["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0"])

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

from cli import BIN, check, fails, main, run  # noqa: E402

# Family: (a small member, side of its images or 0 for tokens, options). Sizes are those with which a run takes little time.
TINY_TEXT = {"dim": 16, "depth": 2, "heads": 2, "mlp_dim": 32, "max_positions": 32}
FAMILIES = {
    "alexnet": ("alexnet", 96, {"hidden_features": 64}),
    "cnn": ("cnn", 32, {}),
    "convnext": ("convnext_tiny", 32, {}),
    "deit": ("deit_tiny_distilled_patch16_224", 32, {}),
    "densenet": ("densenet121", 32, {}),
    "efficientnet": ("efficientnet_b0", 32, {}),
    "efficientnet_lite": ("efficientnet_lite0", 32, {}),
    "googlenet": ("googlenet", 64, {}),
    "inception": ("inception_v3", 96, {}),
    "lenet": ("lenet", 32, {}),
    "mlp": ("mlp", 16, {}),
    "mlp_mixer": ("mixer_s32_224", 64, {}),
    "mnasnet": ("mnasnet0_5", 32, {}),
    "mobilenet_v2": ("mobilenet_v2", 32, {}),
    "mobilenet_v3": ("mobilenet_v3_small", 32, {}),
    "regnet": ("regnet_y_400mf", 32, {}),
    "resnet": ("resnet18", 32, {}),
    "shufflenet_v2": ("shufflenet_v2_x0_5", 32, {}),
    "squeezenet": ("squeezenet1_1", 63, {}),
    "vgg": ("vgg11_bn", 32, {"hidden_features": 64}),
    "vit": ("vit_tiny", 32, {"depth": 2}),
}
TOLERANCE = 1e-5


def helper(*arguments):
    done = subprocess.run([os.path.join(BIN, "run_model"), *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == 0, "run_model", *arguments, done.stderr)


def make(path, arch, side=0, options=None):
    words = [f"{key}={value if not isinstance(value, str) else chr(34) + value + chr(34)}" for key, value in (options or {}).items()]
    helper("make", arch, path, *(["--side", side] if side else []), *words)


def inputs_of(session, batch, length=7):
    """Inputs for a model by its own account of them: numbers from -1 to 1, or tokens with padding behind all but the first sequence."""
    rng = numpy.random.default_rng(1)
    given = {}
    for value in session.get_inputs():
        shape = [batch if size == "N" else length if isinstance(size, str) else size for size in value.shape]
        if value.type == "tensor(float)":
            given[value.name] = rng.uniform(-1, 1, shape).astype(numpy.float32)
        elif value.name == "attention_mask":
            given[value.name] = numpy.ones(shape, numpy.int64)
            for row in range(1, batch):
                given[value.name][row, length - 2 * row:] = 0
        else:
            given[value.name] = rng.integers(2, 2 if value.name == "token_type_ids" else 50, shape, dtype=numpy.int64, endpoint=True) % (2 if value.name == "token_type_ids" else 100)
    return given


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def both(folder, model, exported, batch):
    """Outputs of our engine and of ONNX Runtime, by name."""
    session = session_of(exported)
    given = inputs_of(session, batch)
    numpy.savez(f"{folder}/in.npz", **given)
    helper("run", model, f"{folder}/in.npz", f"{folder}/out.npz")
    ours = dict(numpy.load(f"{folder}/out.npz"))
    ours.pop("__ds__", None)
    names = [output.name for output in session.get_outputs()]
    theirs = dict(zip(names, session.run(names, given)))
    check(ours.keys() == theirs.keys(), "outputs", ours.keys(), theirs.keys())
    return ours, theirs


def agree(folder, model, exported, what, tolerance=TOLERANCE):
    onnx.checker.check_model(str(exported), full_check=True)
    largest = 0
    for batch in (1, 3):
        ours, theirs = both(folder, model, exported, batch)
        for name, y in ours.items():
            check(y.shape == theirs[name].shape, what, name, y.shape, theirs[name].shape)
            check(numpy.isfinite(y).all() and numpy.abs(y).max() > 0, what, name, "is not finite, or 0 everywhere")
            largest = max(largest, float(numpy.abs(y - theirs[name]).max() / numpy.abs(y).max()))
    print(f"     {what}: largest difference {largest:.1e} of the maximum", flush=True)
    check(largest <= tolerance, what, "differs by", largest)


def exported(folder, name, arch, side=0, options=None):
    make(f"{folder}/{name}.h5", arch, side, options)
    run("ds-convert", f"{folder}/{name}.h5", "-f", "-o", f"{folder}/{name}.onnx")
    return f"{folder}/{name}.h5", f"{folder}/{name}.onnx"


def test_every_family(folder):
    for family, (arch, side, options) in FAMILIES.items():
        agree(folder, *exported(folder, "net", arch, side, options), family)


if __name__ == "__main__":
    main(__name__)
