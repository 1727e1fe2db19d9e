"""What there is to choose from: ds-train --list-models, and weights that published files of an architecture have beside the net's."""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import SOURCE, check, main, refused, run  # noqa: E402


def models(*patterns, **more):
    return run("ds-train", "--list-models", *patterns, "--format", "json", **more).record["models"]


def golden(family):
    return json.load(open(os.path.join(SOURCE, "tests/golden/zoo", family + ".json"), encoding="utf-8"))


def test_figures_are_those_of_the_libraries(folder):
    listed = {model["name"]: model for model in models()}
    check(len(listed) >= 100 and sorted(listed) == list(listed), sorted(listed))
    check(len({model["family"] for model in listed.values()}) >= 26, {model["family"] for model in listed.values()})
    for family in ("resnet", "efficientnet", "efficientnet_lite", "inception", "vit", "swin_v2", "mlp_mixer", "deit"):
        for name, size in golden(family)["sizes"].items():
            model = listed[name]
            check(model["family"] == family and model["parameters"] == size["parameters"], model, size)
            check(model["input"] == "x".join(map(str, size["image"])), model, size)
    check(listed["resnet50"]["macs"] == 4089184256 and listed["cnn"]["parameters"] == 102826, listed["resnet50"], listed["cnn"])
    check(listed["cnn"]["input"] == "1x28x28" and "graph" not in listed, listed["cnn"])


def test_patterns_choose(folder):
    check([model["name"] for model in models("resnet1*")] == ["resnet101", "resnet152", "resnet18"], models("resnet1*"))
    check([model["name"] for model in models("lenet", "vgg1[13]")] == ["lenet", "vgg11", "vgg13"], models("lenet", "vgg1[13]"))
    refused(run("ds-train", "--list-models", "resnet19", expect=2), "no model matches 'resnet19'", "did you mean 'resnet1")
    refused(run("ds-train", "--list-models", "none*", expect=2), "no model matches 'none*'", "--list-models alone shows all")
    refused(run("ds-train", "resnet*", expect=2), "'resnet*' is of use with --list-models alone")
    refused(run("ds-train", "--data", "digits", "--format", "table", expect=2), "--format", "'table' is no form of what training prints")


def test_forms_and_the_next_command(folder):
    shown = run("ds-train", "--list-models", "mobilenet*")
    lines = shown.out.splitlines()
    check(lines[0].split() == ["model", "family", "params", "MACs", "input"] and len(lines) == 5, shown.out)
    check(lines[2].split() == ["mobilenet_v2", "mobilenet_v2", "3.50", "M", "301", "M", "3x224x224"], lines[2])
    check("next: ds-train --model mobilenet_v2 --data SPEC -o model.h5" in shown.err, shown.err)
    check(run("ds-train", "--list-models", "mobilenet*", "--format", "table", "--quiet").err == "", "said something")
    rows = run("ds-train", "--list-models", "lenet", "--format", "csv").out.splitlines()
    check(rows == ["name,family,parameters,macs,input", "lenet,lenet,61706,416520,1x28x28"], rows)
    check("- family: lenet" in run("ds-train", "--list-models", "lenet", "--format", "yaml").out, "no YAML")


def test_the_engine_is_not_loaded(folder):
    models("lenet", env={"LD_BIND_NOW": "1", "LD_DEBUG": "files", "LD_DEBUG_OUTPUT": f"{folder}/loaded"})
    text = "".join(open(os.path.join(folder, name), encoding="utf-8").read() for name in os.listdir(folder))
    check("libds_base.so" in text and "libtorch" not in text and "libds.so" not in text, text[-2000:])


def write_safetensors(path, shapes):
    """Every tensor of zeros, running variances of ones."""
    header, offset = {}, 0
    for name, (dtype, shape) in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            file.write(struct.pack("<f", float(name.endswith("running_var"))) * ((end - begin) // 4))


def test_auxiliary_heads_of_published_files_are_left_out(folder):
    heads = {"googlenet": ["aux1.conv.conv.weight", "aux2.fc2.bias"], "inception_v3": ["AuxLogits.fc.bias"]}
    for arch, extra in heads.items():
        shapes = {}
        for line in golden(arch.removesuffix("_v3"))["lines"]:
            name, _, shape = line.split(" ")
            shapes[name] = ("F32", [int(side) for side in shape.split("x")])
        for name in extra:
            shapes[name] = ("F32", [2, 3])
        write_safetensors(f"{folder}/{arch}.safetensors", shapes)
        done = run("ds-convert", f"{folder}/{arch}.safetensors", "--arch", arch, "--format", "json", "-o", f"{folder}/{arch}.h5")
        check(done.record["ignored"] == extra, done.record["ignored"])
        check(f"left out {len(extra)} tensors of auxiliary heads" in done.err, done.err)
        sizes = done.record["model"]["options"]
        check(sizes["num_classes"] == 1000 and sizes["height"] == {"googlenet": 224, "inception_v3": 299}[arch], sizes)
        check(done.record["preprocessing"]["mean"] == done.record["preprocessing"]["std"] == [0.5] * 3, done.record["preprocessing"])
    os.remove(f"{folder}/inception_v3.h5")
    shapes["Aux.fc.bias"] = ("F32", [2, 3])  # of another name: no head of this net
    write_safetensors(f"{folder}/other.safetensors", shapes)
    refused(run("ds-convert", f"{folder}/other.safetensors", "--arch", "inception_v3", "-o", f"{folder}/other.h5", expect=3), "1 tensor unexpected: Aux.fc.bias")


def test_a_net_that_tells_a_class_for_each_pixel_is_not_trained_on_classes_of_images(folder):
    unet = ["ds-train", "--data", "mnist5k", "--model", "unet", "--model.width", 4, "--threads", 1]
    for more in (["-n"], ["--epochs", 1, "-o", f"{folder}/a.h5"]):
        refused(run(*unet, *more, expect=3), "model.arch: the model gives float32[N, 10, 28, 28], data 'mnist5k' asks for scores of each sample, [N, classes]")
    check(os.listdir(folder) == [], os.listdir(folder))


if __name__ == "__main__":
    main(__name__)
