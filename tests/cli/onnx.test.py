#!/usr/bin/env python3
"""ds-convert to ONNX and back, judged by ONNX Runtime and ONNX's own checker on the same inputs as our engine."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import peer  # noqa: E402

peer.run_with(["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0"])

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

from cli import BIN, SOURCE, check, fails, main, run  # noqa: E402

# Family: (a small member, side of its images or 0 for tokens, options). Sizes are those with which a run takes little time.
TINY_TEXT = {"dim": 16, "depth": 2, "heads": 2, "mlp_dim": 32, "max_positions": 32}
IMAGES = {
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
    "swin": ("swin_t", 64, {}),
    "swin_v2": ("swin_v2_t", 64, {}),
    "squeezenet": ("squeezenet1_1", 63, {}),
    "unet": ("unet", 32, {}),
    "vgg": ("vgg11_bn", 32, {"hidden_features": 64}),
    "vit": ("vit_tiny", 32, {"depth": 2}),
}
TOKENS = {
    "bert": ("bert_tiny", 0, {**TINY_TEXT, "head": "classification"}),
    "distilbert": ("distilbert_base", 0, {**TINY_TEXT, "head": "masked-lm"}),
    "gpt2": ("gpt2_tiny", 0, {"head": "causal-lm"}),
    "gru": ("gru", 0, {}),
    "llama": ("llama_tiny", 0, {"head": "causal-lm"}),
    "lstm": ("lstm", 0, {}),
    "minilm": ("minilm_l6", 0, {**TINY_TEXT, "head": "embedding"}),
    "roberta": ("roberta_base", 0, {**TINY_TEXT, "head": "token"}),
    "t5": ("t5_tiny", 0, {}),
    "tcn": ("tcn", 0, {}),
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


def engine(folder, model, given):
    """Outputs of our engine, by name."""
    numpy.savez(f"{folder}/in.npz", **given)
    helper("run", model, f"{folder}/in.npz", f"{folder}/out.npz")
    outputs = dict(numpy.load(f"{folder}/out.npz"))
    outputs.pop("__ds__", None)
    return outputs


def ort(session, given):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given)))


def difference(ours, theirs, what):
    """The largest one, as a part of the largest value."""
    check(ours.keys() == theirs.keys(), what, "outputs", ours.keys(), theirs.keys())
    largest = 0
    for name, y in ours.items():
        check(y.shape == theirs[name].shape, what, name, y.shape, theirs[name].shape)
        check(numpy.isfinite(y).all() and numpy.abs(y).max() > 0, what, name, "is not finite, or 0 everywhere")
        largest = max(largest, float(numpy.abs(y - theirs[name]).max() / numpy.abs(y).max()))
    return largest


def agree(folder, model, exported, what, tolerance=TOLERANCE):
    """Both give the same for three samples, and ONNX Runtime for the first of them alone."""
    onnx.checker.check_model(str(exported), full_check=True)
    session = session_of(exported)
    given = inputs_of(session, 3)
    ours = engine(folder, model, given)
    largest = difference(ours, ort(session, given), what)
    alone = ort(session, {name: value[:1] for name, value in given.items()})
    largest = max(largest, difference({name: y[:1] for name, y in ours.items()}, alone, what + ", the first alone"))
    check(largest <= tolerance, what, "differs by", largest)
    return given, ours, largest


def digest(path):
    return json.loads(run("ds-convert", path, "--inspect", "--format", "json").out)["inputs"][0]["digest"]


def convert(source, *arguments):
    """Converts, and holds what the record says of the outputs of both sides: they were run, and are as near as they should be."""
    record = json.loads(run("ds-convert", source, *arguments, "-f", "--threads", 1, "--format", "json").out)
    verified = record["verified"]
    check("outputs_not_run" not in verified and 0 <= verified["outputs"] < 1e-3, source, *arguments, verified)
    return record


def exported(folder, name, arch, side=0, options=None):
    make(f"{folder}/{name}.h5", arch, side, options)
    convert(f"{folder}/{name}.h5", "-o", f"{folder}/{name}.onnx")
    return f"{folder}/{name}.h5", f"{folder}/{name}.onnx"


def every(folder, families, from_nodes):
    """Exported, judged, and read again: by the graph that travels along the same model, and where `from_nodes` has the family by the nodes alone."""
    for family, (arch, side, options) in families.items():
        model, written = exported(folder, "net", arch, side, options)
        given, ours, largest = agree(folder, model, written, family)
        run("ds-convert", written, "--no-run", "-f", "-o", f"{folder}/back.h5")
        check(digest(f"{folder}/back.h5") == digest(model), family, "comes back as another model")
        said = f"     {family}: {largest:.1e} of the maximum"
        if from_nodes(family):
            convert(written, "--no-own-graph", "-o", f"{folder}/nodes.h5")
            again = difference(engine(folder, f"{folder}/nodes.h5", given), ours, family + " from its nodes")
            check(again <= TOLERANCE, family, "made from its nodes differs by", again)
            said += f", made from its nodes {again:.1e}"
        print(said, flush=True)


def test_images(folder):
    # Left out: pools to sizes that divide nothing are products with constants, and shifted windows are rolled: the graph that travels has them.
    every(folder, IMAGES, lambda family: family not in ("alexnet", "swin", "swin_v2", "vgg"))


def test_tokens(folder):
    every(folder, TOKENS, lambda family: family in ("bert", "distilbert", "gpt2", "roberta"))


def test_graphs_of_pytorch(folder):
    """Nets as PyTorch's exporter writes them become checkpoints with PyTorch's outputs, and go back to ONNX."""
    golden = os.path.join(SOURCE, "tests/golden/onnx")
    names = sorted(name[:-5] for name in os.listdir(golden) if name.endswith(".onnx"))
    check(len(names) >= 14, "stored nets", names)
    for name in names:
        stored = dict(numpy.load(f"{golden}/{name}.npz"))
        convert(f"{golden}/{name}.onnx", "-o", f"{folder}/net.h5")
        given = {key: value for key, value in stored.items() if key != "output"}
        apart = difference(engine(folder, f"{folder}/net.h5", given), {"output": stored["output"]}, name)
        run("ds-convert", f"{folder}/net.h5", "-f", "-o", f"{folder}/net.onnx")
        onnx.checker.check_model(f"{folder}/net.onnx", full_check=True)
        again = difference(ort(session_of(f"{folder}/net.onnx"), given), {"output": stored["output"]}, name + " written again")
        print(f"     {name}: {apart:.1e} of the maximum, written again {again:.1e}", flush=True)
        check(max(apart, again) <= TOLERANCE, name, "differs by", apart, again)
    inspected = json.loads(run("ds-convert", f"{folder}/net.h5", "--inspect", "--format", "json").out)
    check(inspected["inputs"], inspected)
    run("ds-convert", f"{golden}/residual_plain.onnx", "-f", "-o", f"{folder}/net.h5")
    run("ds-convert", f"{folder}/net.h5", "-f", "-o", f"{folder}/net.safetensors")
    header = open(f"{folder}/net.safetensors", "rb").read(20000)
    for tensor in ("conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer2.downsample.1.weight", "fc.weight"):
        check(f'"{tensor}"'.encode() in header, tensor, "keeps its name")


def test_int8(folder):
    """A quantized net in QDQ form: the same classes, and outputs within a step of the last layer's input on nearly all values."""
    for arch in ("cnn", "resnet18"):
        run("ds-train", "--data", "digits", "--model", arch, "--epochs", 1, "--threads", 1, "--progress", "none", "-f", "-o", f"{folder}/float.h5")
        run("ds-quantize", f"{folder}/float.h5", "--threads", 1, "-f", "-o", f"{folder}/int8.h5")
        verified = json.loads(run("ds-convert", f"{folder}/int8.h5", "-f", "-o", f"{folder}/int8.onnx", "--format", "json").out)["verified"]
        check("outputs_not_run" not in verified and verified["outputs"] >= 0, verified)
        onnx.checker.check_model(f"{folder}/int8.onnx", full_check=True)
        kinds = {node.op_type for node in onnx.load(f"{folder}/int8.onnx").graph.node}
        check({"QuantizeLinear", "DequantizeLinear"} <= kinds, kinds)
        session = session_of(f"{folder}/int8.onnx")
        given = inputs_of(session, 64)
        ours, theirs = engine(folder, f"{folder}/int8.h5", given)["logits"], ort(session, given)["logits"]
        check(len(numpy.unique(ours.round(3), axis=0)) > 32, arch, "says the same of all inputs")
        apart = numpy.abs(ours - theirs) / numpy.abs(ours).max()
        same = (ours.argmax(1) == theirs.argmax(1)).mean()
        print(f"     {arch}: {(apart <= 1 / 127).mean():.1%} of outputs within 1/127 of the maximum, largest {apart.max():.1e}, same class {same:.1%}", flush=True)
        check(same >= 0.95 and (apart <= 1 / 127).mean() >= 0.95 and apart.max() < 0.1, arch, same, apart.max())
        run("ds-convert", f"{folder}/int8.onnx", "-f", "-o", f"{folder}/back.h5")
        check(digest(f"{folder}/back.h5") == digest(f"{folder}/int8.h5"), "comes back as another model")
        run("ds-convert", f"{folder}/int8.onnx", "--no-own-graph", "-f", "-o", f"{folder}/nodes.h5")
        again = engine(folder, f"{folder}/nodes.h5", given)["logits"]
        check(numpy.abs(again - ours).max() <= 1e-4 * numpy.abs(ours).max(), arch, "made from its nodes differs by", numpy.abs(again - ours).max())


def test_outputs_are_held_against_each_other(folder):
    """Both ways, by the file's nodes one by one; --atol is a gate, --no-run leaves LibTorch out, and what cannot be run is told with its node."""
    model, written = exported(folder, "a", "lenet", 32)
    at_zero = ("--atol", 0, "--threads", 1)
    for source, target in ((model, "gate.onnx"), (written, "gate.h5")):
        fails(("ds-convert", source, "-o", f"{folder}/{target}", *at_zero), 5, "outputs differ by", "--atol asks for at most 0", folder=folder)
    light = json.loads(run("ds-convert", model, "--no-run", "-o", f"{folder}/light.onnx", "--format", "json").out)
    check(light["verified"]["outputs_not_run"] == "--no-run" and "torch" not in light.get("versions", {}), light)
    check(open(f"{folder}/light.onnx", "rb").read() == open(written, "rb").read(), "is another file")
    fails(("ds-convert", model, "--no-run", "--atol", 1, "-o", f"{folder}/b.onnx"), 2, "--no-run", "contradicts --atol", folder=folder)
    fails(("ds-convert", model, "--no-run", "-o", f"{folder}/b.npz"), 2, "--no-run", "ends in .onnx", folder=folder)
    # A net of others, made by hand.
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    pool = node("AveragePool", ["x"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID")
    shape = node("Reshape", ["y", "to"], ["z"], "rows")
    graph = onnx.helper.make_graph([pool, shape], "net", [value("x", 1, ["N", 1, 4, 4])], [value("z", 1, None)],
                                   [tensor("to", [2], onnx.TensorProto.INT64, numpy.array([0, -1]).tobytes())])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), f"{folder}/pool.onnx")
    check(convert(f"{folder}/pool.onnx", "-o", f"{folder}/pool.h5")["verified"]["outputs"] < 1e-6)


def test_external_data(folder):
    model, written = exported(folder, "a", "lenet", 32)
    inside = ort(session_of(written), inputs_of(session_of(written), 2))
    record = json.loads(run("ds-convert", model, "--external-data", "-f", "-o", f"{folder}/b.onnx", "--format", "json").out)
    check(os.path.dirname(record["data"]) == os.path.realpath(folder) and os.path.getsize(f"{folder}/b.onnx") < 40000, record)
    for tensor in onnx.load(f"{folder}/b.onnx", load_external_data=False).graph.initializer:
        places = {entry.key: entry.value for entry in tensor.external_data}
        check(not places or int(places["offset"]) % 4096 == 0, tensor.name, places)
    onnx.checker.check_model(f"{folder}/b.onnx", full_check=True)
    check(difference(inside, ort(session_of(f"{folder}/b.onnx"), inputs_of(session_of(written), 2)), "external") == 0)
    run("ds-convert", f"{folder}/b.onnx", "-o", f"{folder}/b.h5")
    check(digest(f"{folder}/b.h5") == digest(model))
    # Another model of that name takes the place of both files.
    make(f"{folder}/c.h5", "cnn", 32)
    second = json.loads(run("ds-convert", f"{folder}/c.h5", "--external-data", "-f", "-o", f"{folder}/b.onnx", "--format", "json").out)
    data = [name for name in os.listdir(folder) if name.endswith(".data")]
    check([os.path.basename(second["data"])] == data, data)


def test_a_changed_file_is_read_by_its_nodes(folder):
    model, written = exported(folder, "a", "lenet", 32)
    net = onnx.load(written)
    weight = next(t for t in net.graph.initializer if t.name.endswith("bias"))
    weight.raw_data = numpy.ones(len(weight.raw_data) // 4, numpy.float32).tobytes()
    onnx.save(net, f"{folder}/weights.onnx")
    record = json.loads(run("ds-convert", f"{folder}/weights.onnx", "-o", f"{folder}/weights.h5", "--format", "json").out)
    check(record["same_model"] is False, record)
    relu = next(node for node in net.graph.node if node.op_type == "Relu")
    relu.op_type = "Sigmoid"
    onnx.save(net, f"{folder}/nodes.onnx")
    result = run("ds-convert", f"{folder}/nodes.onnx", "-o", f"{folder}/nodes.h5", "--format", "json")
    check("was changed since ds wrote it" in result.err, result.err)
    given = inputs_of(session_of(f"{folder}/nodes.onnx"), 2)
    check(difference(engine(folder, f"{folder}/nodes.h5", given), ort(session_of(f"{folder}/nodes.onnx"), given), "changed") <= TOLERANCE)


def tensor(name, dims, dtype=onnx.TensorProto.FLOAT, raw=None):
    made = onnx.TensorProto(name=name, dims=dims, data_type=dtype)
    if raw is not None:
        made.raw_data = raw
    return made


def small(nodes=(), tensors=(), outputs=("y",)):
    """A model of these nodes on x [N, 4]."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(list(nodes), "net", [value("x", 1, ["N", 4])], [value(name, 1, None) for name in outputs], list(tensors))
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def field(number, payload):
    """One of a message's fields of bytes, as protobuf encodes them."""
    out = b""
    for value in (number << 3 | 2, len(payload)):
        while value >= 128:
            out += bytes([value & 127 | 128])
            value >>= 7
        out += bytes([value])
    return out + payload


def test_bad_input(folder):
    node = onnx.helper.make_node
    add = node("Add", ["x", "w"], ["y"], "sum")
    good = small([add], [tensor("w", [4], raw=bytes(16))]).SerializeToString()
    bad, out = f"{folder}/bad.onnx", f"{folder}/out.h5"

    def refuse(model, *parts, lines=1):
        with open(bad, "wb") as file:
            file.write(model if isinstance(model, bytes) else model.SerializeToString())
        fails(("ds-convert", bad, "-o", out), 3, "bad.onnx", *parts, folder=folder, lines=lines)

    for cut in (1, 10, len(good) // 2, len(good) - 1):
        refuse(good[:cut])
    refuse(b"", "is no ONNX model")
    refuse(os.urandom(4096), "is no ONNX model")
    refuse(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "a field of")  # a graph of 2^63 bytes
    refuse(small([add], [tensor("w", [1 << 40, 1 << 40], raw=bytes(16))]), "larger than any file")
    refuse(small([add], [tensor("w", [1 << 33], raw=bytes(16))]), "16 bytes, expected")
    refuse(small([add], [tensor("w", [-4], raw=bytes(16))]), "no elements")
    refuse(small([add], [tensor("w", [1] * 30, raw=bytes(4))]), "rank 30")
    refuse(small([add], [tensor("w", [4], raw=bytes(12))]), "12 bytes, expected 16")
    refuse(small([add], [tensor("w", [4])]), "has only 0 numbers")
    refuse(small([add], [tensor("w", [4], onnx.TensorProto.STRING)]), "holds texts")
    refuse(small([add], [tensor("w", [4], 99, bytes(16))]), "data type 99")
    refuse(small([add], [tensor("w", [4], raw=bytes(16)), tensor("w", [4], raw=bytes(16))]), "'w' is there twice")
    refuse(small([add, node("Relu", ["x"], ["y"], "again")], [tensor("w", [4], raw=bytes(16))]), "'again'", "there already")
    refuse(small([node("Relu", ["z"], ["y"], "a"), node("Relu", ["y"], ["z"], "b")]), "cycle")
    refuse(small([node("Relu", ["nothing"], ["y"], "a")]), "'nothing'")
    refuse(small([node("Relu", ["x"], ["y"])], outputs=["other"]), "'other'")
    refuse(small([node("Lizard", ["x"], ["z"], "one"), node("Spock", ["z"], ["y"], "two", domain="far.away")]), "2 ops", "Lizard ('one')", "far.away.Spock ('two')")
    refuse(small([node("Add", ["x", "w"], ["y"], "sum")], [tensor("w", [3], raw=bytes(12))]), "'sum'")
    inner = node("If", ["x"], ["y"], "deep").SerializeToString()
    for _ in range(1000):  # deeper than protobuf reads: node { op_type, output, attribute { name, g { node } } }
        inner = field(4, b"If") + field(2, b"y") + field(3, b"deep") + field(5, field(1, b"then_branch") + field(6, field(1, inner)))
    refuse(field(7, field(1, inner) + field(12, field(1, b"y"))), "If ('deep')")
    many = small([add], [tensor("w", [4], raw=bytes(16))])
    many.graph.node.extend([node("Relu", ["x"], [f"v{i}"]) for i in range(20001)])
    refuse(many, "20002 nodes")
    refuse(field(7, b"\x0a\x00" * 2_100_000), "more than 2000000 entries")  # nodes of two bytes each


def test_data_elsewhere(folder):
    """Tensors in another file: beside the model, under a plain name, with one link."""
    add = onnx.helper.make_node("Add", ["x", "w"], ["y"], "sum")
    os.makedirs(f"{folder}/models")
    secret = f"{folder}/secret"
    with open(secret, "wb") as file:
        file.write(bytes(16))
    os.symlink(secret, f"{folder}/models/symbolic")
    os.link(secret, f"{folder}/models/hard")
    os.mkfifo(f"{folder}/models/pipe")
    os.makedirs(f"{folder}/models/sub")
    with open(f"{folder}/models/good", "wb") as file:
        file.write(numpy.arange(8, dtype=numpy.float32).tobytes())

    def model(location, **more):
        values = tensor("w", [4])
        values.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            values.external_data.add(key=key, value=str(value))
        with open(f"{folder}/models/net.onnx", "wb") as file:
            file.write(small([add], [values]).SerializeToString())
        return "ds-convert", f"{folder}/models/net.onnx", "-f", "-o", f"{folder}/net.h5"

    for location, part in (("../secret", "plain name"), (secret, "plain name"), ("symbolic", "symbolic link"), ("hard", "2 links"), ("pipe", "no regular file"),
                           ("sub", "no regular file"), ("sub/../good", "plain name"), ("absent", "cannot be opened"), ("", "plain name"), ("..", "plain name")):
        fails(model(location), 3, part, folder=folder)
    fails(model("good", offset=20), 3, "lies at bytes 20 to 36", folder=folder)
    fails(model("good", offset="1e3"), 3, "'1e3'", folder=folder)
    fails(model("good", offset=2 ** 64 - 1), 3, "lies at bytes", folder=folder)
    fails(model("good", length=8), 3, "8 bytes", folder=folder)
    run(*model("good", offset=16))


def test_without_the_module(folder):
    """An install tree without libds_onnx.so says which package to install; everything else works."""
    build = os.path.realpath(os.path.join(BIN, ".."))
    os.makedirs(f"{folder}/bin"), os.makedirs(f"{folder}/lib")
    shutil.copy(f"{build}/bin/ds-convert", f"{folder}/bin")
    shutil.copy(f"{build}/lib/libds_base.so", f"{folder}/lib")
    make(f"{folder}/a.h5", "lenet", 32)
    done = subprocess.run([f"{folder}/bin/ds-convert", f"{folder}/a.h5", "-o", f"{folder}/a.onnx"], capture_output=True, text=True)
    check(done.returncode == 4 and "libds_onnx.so" in done.stderr and "libonnx-dev" in done.stderr, done.returncode, done.stderr)
    check(not os.path.exists(f"{folder}/a.onnx"))
    done = subprocess.run([f"{folder}/bin/ds-convert", f"{folder}/a.h5", "-o", f"{folder}/a.npz"], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    # With it and without the engine the conversion is done, and says that nothing was run.
    shutil.copy(f"{build}/lib/libds_onnx.so", f"{folder}/lib")
    call = [f"{folder}/bin/ds-convert", f"{folder}/a.h5", "--format", "json", "-o", f"{folder}/a.onnx"]
    done = subprocess.run(call, capture_output=True, text=True)
    check(done.returncode == 0 and "libds.so" in json.loads(done.stdout)["verified"]["outputs_not_run"], done.stdout, done.stderr)
    done = subprocess.run([*call, "-f", "--atol", "1"], capture_output=True, text=True)
    check(done.returncode == 5 and "could not be compared" in done.stderr and not os.path.exists(f"{folder}/a.onnx"), done.returncode, done.stderr)


def test_beside_libtorch(folder):
    """LibTorch carries a protobuf of its own: both modules in one process, in either order."""
    lib = os.path.realpath(os.path.join(BIN, "../lib"))
    for order in (("libds.so", "libds_onnx.so"), ("libds_onnx.so", "libds.so")):
        code = ";".join(["import ctypes, os", *(f"m = ctypes.CDLL('{lib}/{name}', mode=os.RTLD_NOW | os.RTLD_LOCAL)" for name in order),
                         f"ctypes.CDLL('{lib}/libds_onnx.so').ds_onnx_module()"])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        check(done.returncode == 0 and not done.stderr, order, done.returncode, done.stderr)


if __name__ == "__main__":
    main(__name__)
