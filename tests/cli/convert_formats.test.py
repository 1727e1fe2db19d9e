"""ds-convert to and from the files of other programs: the same model comes back, weights from elsewhere, what is refused."""
import ast
import collections
import hashlib
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, command, fails, main, refused, run

GOLDEN = os.path.join(SOURCE, "tests/golden/formats")
EXTENSIONS = ["safetensors", "npz", "pth"]
CNN = ["--arch", "cnn", "--set", "model.width=4"]


def golden(name):
    return os.path.join(GOLDEN, name)


def convert(*arguments, **more):
    return run("ds-convert", *arguments, "--format", "json", **more).record


def tensors(path):
    """{name: {"dtype", "shape", "values"}} of a checkpoint."""
    return json.loads(subprocess.run([os.path.join(BIN, "dump_tensors"), path], check=True, capture_output=True).stdout)


def read_safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


def foreign(source, target):
    """The same weights as another program would write them: without our texts."""
    header, data = read_safetensors(source)
    del header["__metadata__"]
    write_safetensors(target, header, data)


def uniform(name, n):
    """The formula of tests/golden/make_parity.py."""
    seed, mask = 0xCBF29CE484222325, 2**64 - 1
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & mask
    values = []
    for i in range(n):
        z = (seed + i + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        values.append(2.0 * (z >> 11) / 2.0**53 - 1.0)
    return values


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def trained(folder):
    path = os.path.join(folder, "model.h5")
    run("ds-train", "-c", os.path.join(SOURCE, "configs/digits.yaml"), "--epochs", 1, "--threads", 1, "-o", path)
    return path


def untrained(folder, *model):
    path = os.path.join(folder, "model.h5")
    run("ds-train", "--data", "digits", "--epochs", 0, "--threads", 1, *model, "-o", path)
    return path


def test_what_was_written_comes_back(folder):
    model = trained(folder)
    digest = convert(model, "--inspect")["inputs"][0]["digest"]
    top1 = run("ds-eval", model, "--threads", 1, "--format", "json").record["metrics"]["test_top1"]
    chain = convert(model, "--inspect")["provenance"]
    for extension in EXTENSIONS:
        other, back = os.path.join(folder, "m." + extension), os.path.join(folder, extension + ".h5")
        record = convert(model, "-o", other)
        check(record["outputs"] == [{"name": "model", "path": other, "digest": digest}], record["outputs"])
        check(record["verified"] == {"tensors": len(tensors(model)), "largest_difference": 0}, record["verified"])
        record = convert(other, "-o", back)
        check(record["outputs"][0]["digest"] == digest and record["same_model"] is True, record)
        run("ds-convert", "--diff", model, back)
        check(run("ds-eval", back, "--threads", 1, "--format", "json").record["metrics"]["test_top1"] == top1)
        lines = convert(back, "--inspect")["provenance"]
        check(lines[:-1] == chain and digest[:12] in lines[-1], lines)


def test_an_int8_model_comes_back(folder):
    model, int8, other, back = trained(folder), *(os.path.join(folder, name) for name in ("int8.h5", "i.pth", "back.h5"))
    run("ds-quantize", model, "--threads", 1, "-o", int8)
    digest = convert(int8, "-o", other)["outputs"][0]["digest"]
    check(convert(other, "-o", back)["outputs"][0]["digest"] == digest)


def test_from_one_format_to_another(folder):
    model = os.path.join(folder, "model.h5")
    digest = convert(golden("cnn.safetensors"), *CNN, "-o", model)["outputs"][0]["digest"]
    chain = [model] + [os.path.join(folder, name) for name in ("a.safetensors", "b.npz", "c.pth", "d.pt", "e.safetensors", "back.h5")]
    for source, target in zip(chain, chain[1:]):
        check(convert(source, "-o", target)["verified"]["largest_difference"] == 0)
    check(convert(chain[-1], "--inspect")["inputs"][0]["digest"] == digest)
    check(open(chain[1], "rb").read() == open(chain[5], "rb").read())


def test_a_changed_file_is_another_model(folder):
    model, weights, back = (os.path.join(folder, name) for name in ("model.h5", "w.safetensors", "back.h5"))
    convert(golden("cnn.safetensors"), *CNN, "-o", model)
    convert(model, "-o", weights)
    header, data = read_safetensors(weights)
    at = header["fc.bias"]["data_offsets"][0]
    write_safetensors(weights, header, data[:at] + struct.pack("<f", 7.0) + data[at + 4:])
    record = convert(weights, "-o", back)
    check(record["same_model"] is False)
    check(tensors(back)["fc.bias"]["values"][0] == 7.0)
    header["fc.bias"]["shape"] = [5, 1]
    write_safetensors(weights, header, data)
    fails(["ds-convert", weights, "-o", os.path.join(folder, "no.h5")], 3, "fc.bias is float32[5,1], expected float32[5]", folder=folder)


def test_weights_from_elsewhere(folder):
    labels = os.path.join(folder, "names.txt")
    open(labels, "w").write("eins\nzwei\ndrei\nvier\nfünf\n")
    digests = set()
    for extension in EXTENSIONS:
        model = os.path.join(folder, extension + ".h5")
        record = convert(golden("cnn." + extension), *CNN, "--size", 8, "--labels", labels, "-o", model)
        digests.add(record["outputs"][0]["digest"])
        check(record["model"]["options"] == {"num_classes": 5, "in_channels": 3, "height": 8, "width_px": 8, "width": 4}, record["model"])
        check(record["preprocessing"] == {"kind": "image", "shape": [3, 8, 8], "scale": 1 / 255, "mean": [0.485, 0.456, 0.406],
                                          "std": [0.229, 0.224, 0.225]}, record["preprocessing"])
        check(record["ignored"] == [f"bn{i}.num_batches_tracked" for i in range(1, 6)], record["ignored"])
    check(len(digests) == 1, digests)
    inspected = convert(model, "--inspect")
    check(inspected["labels"] == ["eins", "zwei", "drei", "vier", "fünf"], inspected["labels"])
    held = tensors(model)
    check(len(held) == 27)
    check(held["conv2.weight"]["values"] == [float32(u * (3 / 36) ** 0.5) for u in uniform("conv2.weight", 144)])
    check(held["bn3.running_var"]["values"] == [float32(1.25 + 0.75 * u) for u in uniform("bn3.running_var", 8)])
    check(held["fc.bias"]["values"] == [float32(0.1 * u) for u in uniform("fc.bias", 5)])


def test_a_prefix_and_numbers_of_ones_own(folder):
    model = os.path.join(folder, "m.h5")
    record = convert(golden("checkpoint.pth"), *CNN, "--size", "16,24", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "-o", model)
    check(record["prefix"] == "module.", record)
    check(record["preprocessing"]["shape"] == [3, 16, 24] and record["preprocessing"]["mean"] == [0.5] * 3 and record["preprocessing"]["std"] == [0.25] * 3)


def test_sizes_are_taken_from_the_tensors(folder):
    for name, model, least in (("resnet18", ["--set", "model.width=8", "--set", "model.stem=cifar"], {"num_classes": 10, "in_channels": 1}),
                               ("vit_tiny", ["--set", "model.dim=16", "--set", "model.heads=2", "--set", "model.depth=1", "--set", "model.mlp_dim=16",
                                             "--set", "model.patch_size=4"], {"num_classes": 10, "in_channels": 1, "height": 8, "width_px": 8})):
        path, weights, other, back = (os.path.join(folder, name + end) for end in (".h5", ".safetensors", "-f.safetensors", "-b.h5"))
        run("ds-train", "--data", "digits", "--epochs", 0, "--threads", 1, "--model", name, *model, "-o", path)
        convert(path, "-o", weights)
        foreign(weights, other)
        options = convert(other, "--arch", name, *model, "-o", back)["model"]["options"]
        check({key: options[key] for key in least} == least, options)
        check(tensors(back) == tensors(path))


def test_all_that_does_not_fit_is_told_at_once(folder):
    fails(["ds-convert", golden("cnn.safetensors"), "--arch", "resnet18", "-o", os.path.join(folder, "m.h5")], 3, "95 tensors missing: layer1.0.conv1.weight,",
          "and 85 more", "20 tensors unexpected: bn2.bias,", "and 10 more",
          "6 tensors of another form: conv1.weight is float32[4,3,3,3], expected float32[64,3,7,7]", lines=3, folder=folder)
    header, data = read_safetensors(golden("cnn.safetensors"))
    place = header.pop("fc.bias")
    header["fc.bias"] = {"dtype": "I32", "shape": place["shape"], "data_offsets": place["data_offsets"]}
    other = os.path.join(folder, "i.safetensors")
    write_safetensors(other, header, data)
    fails(["ds-convert", other, *CNN, "-o", os.path.join(folder, "m.h5")], 3, "1 tensor of another form: fc.bias is int32[5], expected float32[5]",
          folder=folder)
    header["fc.bias"] = place
    at = place["data_offsets"][0] + 8
    write_safetensors(other, header, data[:at] + struct.pack("<f", float("nan")) + data[at + 4:])
    fails(["ds-convert", other, *CNN, "-o", os.path.join(folder, "m.h5")], 3, "tensor 'fc.bias': value at index 2 is not finite", folder=folder)


def test_bad_calls(folder):
    out, cnn = os.path.join(folder, "m.h5"), golden("cnn.safetensors")
    names, bad = os.path.join(folder, "four.txt"), os.path.join(folder, "bad.txt")
    open(names, "w").write("a\nb\nc\nd\n")
    open(bad, "wb").write(b"a\n\xff\nc\nd\ne\n")
    fails(["ds-convert", cnn, "-o", out], 2, "holds tensors and no graph", "--arch", folder=folder)
    fails(["ds-convert", cnn, "--arch", "resnet19", "-o", out], 2, "unknown architecture 'resnet19'", folder=folder)
    fails(["ds-convert", cnn, *CNN, "--labels", names, "-o", out], 3, "4 labels, one a line; the net has 5 outputs", folder=folder)
    fails(["ds-convert", cnn, *CNN, "--labels", bad, "-o", out], 3, "not UTF-8", folder=folder)
    fails(["ds-convert", cnn, *CNN, "--mean", "0.5", "-o", out], 2, "1 values, the net has 3 channels", folder=folder)
    fails(["ds-convert", cnn, *CNN, "--size", "1,2,3", "-o", out], 2, "3 numbers", folder=folder)
    fails(["ds-convert", cnn, "--size", "8", "-o", out], 2, "describe weights that come without a graph", folder=folder)
    fails(["ds-convert", cnn, "--arch", "cnn", "-o", os.path.join(folder, "m.npz")], 2, "--arch", folder=folder)
    fails(["ds-convert", cnn, "-o", os.path.join(folder, "m.yaml")], 2, "a graph of weights", folder=folder)
    fails(["ds-convert", cnn, "-o", os.path.join(folder, "m.npy")], 2, "32 tensors, .npy holds one", folder=folder)
    fails(["ds-convert", cnn, "-o", os.path.join(folder, "m.xyz")], 2, "unknown format '.xyz'", folder=folder)
    fails(["ds-convert", os.path.join(folder, "none.pth"), "-o", out], 3, "no such file", folder=folder)
    fails(["ds-convert", folder + "/", "-o", os.path.join(folder, "m.npz")], 2, "is not made of folders", folder=folder)
    convert(cnn, *CNN, "-o", out)
    fails(["ds-convert", cnn, *CNN, "-o", out], 2, "exists", folder=folder)
    convert(cnn, *CNN, "-n", "-o", os.path.join(folder, "dry.h5"))
    check(sorted(os.listdir(folder)) == ["bad.txt", "four.txt", "m.h5"], os.listdir(folder))


def test_torchscript(folder):
    model, script, back, int8 = (os.path.join(folder, name) for name in ("model.h5", "m.ts", "back.h5", "int8.h5"))
    run("ds-train", "--data", "digits", "--model", "cnn", "--model.width", 8, "--epochs", 1, "--threads", 1, "-q", "-o", model)
    record = convert(model, "-o", script, "--threads", 1, "--atol", 1e-4)
    verified = record["verified"]
    check(verified["tensors"] == len(tensors(model)) and verified["largest_difference"] == 0 and 0 < verified["outputs"] < 1e-4, verified)
    check(convert(script, "-o", back)["same_model"] is True)  # by the documents that went along
    run("ds-convert", "--diff", model, back)
    with zipfile.ZipFile(script) as archive:
        check(archive.testzip() is None)
        check(any(name.endswith("/constants.pkl") for name in archive.namelist()), archive.namelist())
    os.remove(back)
    held = sorted(os.listdir(folder))
    fails(["ds-convert", model, "-o", os.path.join(folder, "gate.ts"), "--threads", 1, "--atol", 0], 5, "outputs differ by", "no output is left", folder=folder)
    run("ds-quantize", model, "--threads", 1, "-q", "-o", int8)
    fails(["ds-convert", int8, "-o", os.path.join(folder, "int8.ts")], 2, "has no form for int8 layers", ".onnx", folder=folder)
    fails(["ds-convert", golden("cnn.safetensors"), "-o", os.path.join(folder, "w.ts")], 2, "is made of checkpoints", folder=folder)
    convert(model, "-n", "-o", os.path.join(folder, "dry.ts"))
    check(sorted(os.listdir(folder)) == sorted(held + ["int8.h5"]), os.listdir(folder))


def test_weights_of_whole_models_and_torchscript(folder):
    digests = [convert(golden(name), *CNN, "-o", os.path.join(folder, name + ".h5"))["outputs"][0]["digest"] for name in ("cnn.safetensors", "cnn_traced.pt")]
    check(digests[0] == digests[1], digests)
    vit = ["--arch", "vit_tiny", "--set", "model.dim=8", "--set", "model.heads=2", "--set", "model.depth=1", "--set", "model.mlp_dim=16", "--set", "model.patch_size=4"]
    model = os.path.join(folder, "vit.h5")
    options = convert(golden("vit.pth"), *vit, "-o", model)["model"]["options"]
    check(options["num_classes"] == 5 and options["height"] == 8, options)
    check({name: t["shape"] for name, t in tensors(model).items()} == {name: v["shape"] for name, v in read_safetensors(golden("vit.safetensors"))[0].items()
                                                                        if name != "__metadata__"})


def test_files_of_weights_are_looked_at_compared_and_checked(folder):
    model, own, part, packed, other = (os.path.join(folder, name) for name in ("m.h5", "m.safetensors", "dir", "m.npz", "other.safetensors"))
    digest = convert(golden("cnn.safetensors"), *CNN, "-o", model)["outputs"][0]["digest"]
    for target in (own, packed, part + "/"):
        convert(model, "-o", target)
    held = {name: t for name, t in tensors(model).items()}
    for path in (own, packed, part):
        record = convert(path, "--inspect")
        check({row["name"]: row["shape"] for row in record["tensors"]} == {name: t["shape"] for name, t in held.items()}, record["tensors"])
        check(record["metrics"]["tensors"] == len(held) and record["metrics"]["elements"] == sum(len(t["values"]) for t in held.values()), record["metrics"])
        check(convert("--diff", model, path)["equal"] is True)
    check(convert(own, "--inspect")["inputs"][0]["digest"] == digest and convert(own, "--inspect")["metadata"]["ds.digest"] == digest)
    check(convert(part, "--inspect")["files"] == ["model.safetensors"])
    check("fc.bias" in run("ds-convert", own, "--inspect", "--format", "table").out)
    check(convert("--diff", golden("cnn.safetensors"), golden("cnn.pth"))["equal"] is True)

    header, data = read_safetensors(golden("cnn.safetensors"))
    at = header["fc.bias"]["data_offsets"][0]
    was = struct.unpack("<f", data[at:at + 4])[0]
    write_safetensors(other, header, data[:at] + struct.pack("<f", was + 2.0) + data[at + 4:])
    done = run("ds-convert", "--diff", golden("cnn.pth"), other, "--format", "json", expect=5)
    rows = done.record["tensors"]
    check(len(rows) == 1 and rows[0]["name"] == "fc.bias" and abs(rows[0]["max_abs"] - 2) < 1e-6 and rows[0]["elements"] == 1, rows)
    check("1 tensor, first 'fc.bias'" in done.err, done.err)

    verified = convert("--verify", own, packed, golden("cnn.pth"))
    check(verified["verified"] is True and [i["digest"] for i in verified["inputs"][:2]] == [digest, digest], verified["inputs"])
    check(verified["inputs"][2]["digest"] == hashlib.sha256(open(golden("cnn.pth"), "rb").read()).hexdigest())
    for path, said in ((own, "root digest is"), (packed, "CRC")):
        whole = bytearray(open(path, "rb").read())
        whole[whole.index(struct.pack("<f", was))] ^= 1
        open(path, "wb").write(whole)
        check(said in run("ds-convert", "--verify", path, expect=3).err)


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def zipped(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def test_files_that_are_made_to_do_harm(folder):
    mark, out = os.path.join(folder, "called"), os.path.join(folder, "out.safetensors")
    evil = pickle.dumps({"w": Evil(mark)}, protocol=2)

    def bad(name, *parts):
        done = fails(["ds-convert", os.path.join(folder, name), "-o", out], 3, *parts, folder=folder)
        check(not os.path.exists(mark), "the pickle was run")
        return done

    path = os.path.join(folder, "a.pth")
    zipped(path, [("a/data.pkl", evil), ("a/version", "3\n")])
    bad("a.pth", "'posix.system'", "it is not read")
    legacy = b"".join(pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    open(os.path.join(folder, "b.pth"), "wb").write(legacy + evil)
    bad("b.pth", "'posix.system'")
    open(os.path.join(folder, "c.pth"), "wb").write(evil)
    bad("c.pth", "'posix.system'")
    bomb = b"\x93NUMPY\1\0\x76\0" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (200000000,), }".ljust(117) + b"\n" + bytes(200_000_000)
    zipped(os.path.join(folder, "d.npz"), [("a.npy", bomb)], zipfile.ZIP_DEFLATED)
    bad("d.npz", "claims to unpack to over 64 times")
    zipped(os.path.join(folder, "e.npz"), [("../a.npy", "x")])
    bad("e.npz", "names a place outside of it")
    open(os.path.join(folder, "f.safetensors"), "wb").write(struct.pack("<Q", 2**63) + b"{}")
    bad("f.safetensors", "header of 9223372036854775808 bytes")
    write_safetensors(os.path.join(folder, "g.safetensors"), {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]}}, b"")
    bad("g.safetensors", "larger than any file")
    for name in ("h.safetensors", "h.npz", "h.npy", "h.pth"):
        open(os.path.join(folder, name), "wb").close()
        bad(name, os.path.join(folder, name))


class Restricted(pickle.Unpickler):
    """What torch.load(weights_only=True) allows in a state dict, by Python's own unpickler."""

    def find_class(self, module, name):
        return {("collections", "OrderedDict"): collections.OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): lambda *a: a, ("torch", "FloatStorage"): "f"}[
            module, name]

    def persistent_load(self, pid):
        return pid


def test_what_torch_and_numpy_are_given(folder):
    model, pth, npz, safe = (os.path.join(folder, name) for name in ("m.h5", "m.pth", "m.npz", "m.safetensors"))
    convert(golden("cnn.safetensors"), *CNN, "-o", model)
    for path in (pth, npz, safe):
        convert(model, "-o", path)
    held = tensors(model)
    with zipfile.ZipFile(pth) as archive:
        check(archive.testzip() is None)
        check(archive.read("archive/version") == b"3\n" and archive.read("archive/byteorder") == b"little")
        state = Restricted(archive.open("archive/data.pkl")).load()
        check(type(state) is collections.OrderedDict and list(state) == sorted(held), list(state))
        for name, ((kind, storage, key, place, numel), offset, shape, strides, grad, hooks) in state.items():
            values = list(struct.unpack(f"<{numel}f", archive.read("archive/data/" + key)))
            check((kind, storage, place, offset, grad) == ("storage", "f", "cpu", 0, False), name)
            check(values == held[name]["values"] and list(shape) == held[name]["shape"], name)
    with zipfile.ZipFile(npz) as archive:
        check(archive.testzip() is None)
        for name, tensor in held.items():
            data = archive.read(name + ".npy")
            size = struct.unpack("<H", data[8:10])[0]
            check(data[:8] == b"\x93NUMPY\1\0" and (10 + size) % 64 == 0)
            header = ast.literal_eval(data[10:10 + size].decode())
            check(header == {"descr": "<f4", "fortran_order": False, "shape": tuple(tensor["shape"])}, header)
            check(list(struct.unpack(f"<{(len(data) - 10 - size) // 4}f", data[10 + size:])) == tensor["values"])
    try:
        import numpy
        import safetensors.numpy
        import torch
    except ImportError:
        return
    loaded = torch.load(pth, weights_only=True, mmap=True)
    check({name: t.flatten().tolist() for name, t in loaded.items()} == {name: t["values"] for name, t in held.items()})
    check(all(numpy.load(npz)[name].ravel().tolist() == t["values"] for name, t in held.items()))
    check({name: t.ravel().tolist() for name, t in safetensors.numpy.load_file(safe).items()} == {name: t["values"] for name, t in held.items()})


def peak_mib(*arguments):
    child = subprocess.Popen(command("ds-convert", *arguments), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, arguments)
    return usage.ru_maxrss / 1024


def test_memory_stays_near_the_tensors(folder):
    mib = 96
    paths = {name: os.path.join(folder, name) for name in ("a.safetensors", "b.pth", "c.npz", "d.safetensors", "small.safetensors", "small.npz")}
    write_safetensors(paths["small.safetensors"], {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    base = peak_mib(paths["small.safetensors"], "-o", paths["small.npz"])
    each = mib * 2**20 // 4
    header = {name: {"dtype": "F32", "shape": [each // 4], "data_offsets": [i * each, (i + 1) * each]} for i, name in enumerate("abcd")}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = struct.pack("<f", 1.5) * (each // 4)
    with open(paths["a.safetensors"], "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(4):
            file.write(block)
    for source, target in (("a.safetensors", "b.pth"), ("b.pth", "c.npz"), ("c.npz", "d.safetensors")):
        peak = peak_mib(paths[source], "-o", paths[target]) - base
        check(peak < 1.1 * mib, f"{source} to {target}: {peak:.0f} MiB for {mib} MiB of tensors")


main(__name__)
