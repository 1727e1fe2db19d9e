"""A net that a user wrote as YAML, without compiling: trained, compressed and written out again."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import SOURCE, check, main, refused, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
TRAIN = ["ds-train", "--data", "digits", "--epochs", 2, *SMALL]

# Two branches side by side, a residual, a depthwise layer: none of the built-in nets.
NET = """\
inputs: [{name: image, dims: [N, 1, H, W]}]
nodes:
  - {name: stem, op: conv2d, attrs: {out_channels: 8, kernel: [3, 3], padding: [1, 1]}, slots: {bias: ~}}
  - {name: norm, op: batch_norm2d}
  - {name: act, op: relu}
  - {name: wide, op: conv2d, attrs: {out_channels: 8, kernel: [3, 3], padding: [1, 1], groups: 8}}
  - {name: thin, op: conv2d, inputs: [act], attrs: {out_channels: 8, kernel: [1, 1]}}
  - {name: sum, op: add, inputs: [thin, act]}
  - {name: both, op: concat, inputs: [wide, sum], attrs: {axis: 1}}
  - {name: pool, op: max_pool2d, attrs: {kernel: [2, 2], stride: [2, 2]}}
  - {name: mix, op: conv2d, attrs: {out_channels: 24, kernel: [3, 3], padding: [1, 1]}}
  - {name: act2, op: relu}
  - {name: gap, op: global_avg_pool}
  - {name: flat, op: flatten}
  - {name: fc, op: linear, attrs: {out_features: 10}}
outputs: [{name: logits, value: fc}]
"""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def test_a_written_net_goes_through_every_tool(folder):
    net = write(f"{folder}/net.yaml", NET)
    made = run(*TRAIN, "--model", "graph", "--model.file", net, "-o", f"{folder}/a.h5").record
    check(made["metrics"]["val_top1"] > 0.2, made["metrics"])
    os.mkdir(f"{folder}/elsewhere")
    moved = write(f"{folder}/elsewhere/other.yaml", NET)
    again = run(*TRAIN, "--model", "graph", "--model.file", moved, "-o", f"{folder}/b.h5").record
    check(again["outputs"][0]["digest"] == made["outputs"][0]["digest"], "the same net from another place has another digest")
    os.remove(net)  # the checkpoint needs it no more
    run("ds-prune", f"{folder}/a.h5", "--ratio", 0.25, *SMALL, "-o", f"{folder}/p.h5")
    run("ds-distill", f"{folder}/p.h5", "--teacher", f"{folder}/a.h5", "--epochs", 1, *SMALL, "-o", f"{folder}/d.h5")
    run("ds-quantize", f"{folder}/d.h5", *SMALL, "-o", f"{folder}/q.h5")
    run("ds-eval", f"{folder}/q.h5", *SMALL)


def test_a_net_is_written_as_yaml_and_trains_to_the_same_weights(folder):
    first = run(*TRAIN, "--model", "cnn", "--model.width", 4, "-o", f"{folder}/a.h5").record["outputs"][0]
    written = run("ds-convert", f"{folder}/a.h5", *SMALL, "-o", f"{folder}/net.yaml").record
    check(written["outputs"][0]["path"] == os.path.realpath(f"{folder}/net.yaml"), written)
    second = run(*TRAIN, "--model", "graph", "--model.file", f"{folder}/net.yaml", "-o", f"{folder}/b.h5").record["outputs"][0]
    check(second["digest"] == first["digest"], "another net")
    refused(run("ds-convert", f"{folder}/a.h5", "-o", f"{folder}/net.yaml", expect=2), "net.yaml")


def test_a_config_finds_the_file_beside_it(folder):
    os.mkdir(f"{folder}/nets")
    write(f"{folder}/nets/net.yaml", NET)
    config = write(f"{folder}/nets/job.yaml", "model: {arch: graph, file: net.yaml}\ndata: {name: digits}\n")
    record = run("ds-train", "-c", config, "-n", *SMALL, cwd=folder).record
    check(record["metrics"]["parameters"] > 1000, record)


def example(name):
    return os.path.join(SOURCE, "configs/models", name + ".yaml")


def through_the_tools(folder, net, *options):
    """Trained, pruned, quantized, and asked about a picture."""
    made = run(*TRAIN, "--model", "graph", "--model.file", net, *options, "-o", f"{folder}/a.h5").record
    check(made["metrics"]["val_top1"] > 0.2, made["metrics"])
    pruned = run("ds-prune", f"{folder}/a.h5", "--ratio", 0.25, *SMALL, "-o", f"{folder}/p.h5").record
    check(pruned["metrics"]["parameters"] < made["metrics"]["parameters"], pruned["metrics"], made["metrics"])
    run("ds-quantize", f"{folder}/p.h5", *SMALL, "-o", f"{folder}/q.h5")
    picture = os.path.join(SOURCE, "tests/golden/images/grey8.png")
    answer = json.loads(run("ds-predict", f"{folder}/q.h5", picture, "--threads", 1).out)
    check(len(answer["labels"]) == len(answer["scores"]) > 0, answer)
    return made


def test_the_example_of_a_residual_net_goes_through_every_tool(folder):
    made = through_the_tools(folder, example("residual"), "--model.parameters", "depth=1", "--set", "model.parameters.widths=[8, 16]")
    check(made["config"]["model"]["parameters"] == ["depth=1", "widths=[8,16]"], made["config"]["model"])


def test_the_example_of_a_transformer_goes_through_every_tool(folder):
    through_the_tools(folder, example("transformer"), "--set", "model.parameters.depth=1", "--set", "model.parameters.dim=16")


def test_parameters_come_from_flags_files_and_set(folder):
    graph = ["ds-train", "--data", "digits", "-n", *SMALL]
    model = ["--model", "graph", "--model.file", example("transformer")]
    count = lambda *more: run(*graph, *more).record["metrics"]["parameters"]  # noqa: E731
    usual = count(*model)
    smaller = count(*model, "--model.parameters", "dim=16", "--model.parameters", "depth=1")
    check(smaller < usual, smaller, usual)
    config = write(f"{folder}/job.yaml", f"model: {{arch: graph, file: {example('transformer')}, parameters: {{dim: 16, depth: 3}}}}\n")
    check(count("-c", config, "--set", "model.parameters.depth=1") == smaller, "the later depth does not hold")
    again = run(*graph[:3], "-c", config, "--print-config").out
    check("parameters: [dim=16, depth=3]" in again, again)
    kept = write(f"{folder}/kept.yaml", again)
    check(count("-c", kept, "--set", "model.parameters.depth=1") == smaller, "what --print-config says is another config")
    refused(run(*graph, *model, "--model.parameters", "width=3", expect=3), f"{example('transformer')}:3: has no parameter 'width'", "patch")
    refused(run(*graph, *model, "--model.parameters", "heads=5", expect=3), "transformer.yaml:19: node 'layer0.attention'", "5 heads")
    refused(run(*graph, "--set", "model.parameters.dim=16", expect=2), "model.parameters")


def test_what_does_not_fit(folder):
    graph = ["--model", "graph", "--model.file"]
    refused(run(*TRAIN, "--model", "graph", expect=2), "model.file", "is required")
    refused(run(*TRAIN, *graph, f"{folder}/none.yaml", expect=3), f"{folder}/none.yaml")
    net = write(f"{folder}/net.yaml", NET.replace("op: add", "op: ad"))
    refused(run(*TRAIN, *graph, net, expect=3), f"{net}:8: node 'sum'", "did you mean 'add'")
    net = write(f"{folder}/net.yaml", NET.replace("out_features: 10", "out_features: 7"))
    refused(run(*TRAIN, *graph, net, "-o", f"{folder}/a.h5", expect=3), net, "float32[N, 7], expected [N, 10]")
    check(sorted(os.listdir(folder)) == ["net.yaml"], os.listdir(folder))


if __name__ == "__main__":
    main(__name__)
