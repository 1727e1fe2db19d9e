"""Any order: every tool on every kind of checkpoint works, or is a refusal that is listed here and names the command to use instead."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
TRAIN = ["--model", "cnn", "--set", "model.width=8", "--data", "digits"]
# tool and kind that cannot work yet -> what the message must name
REFUSALS = {("quantize", "int8"): "ds-distill", ("train", "int8"): "ds-distill"}


def kinds(folder):
    path = {kind: f"{folder}/{kind}.h5" for kind in ("float", "pruned", "distilled", "int8")}
    run("ds-train", *TRAIN, "--epochs", 3, *SMALL, "-o", path["float"])
    run("ds-prune", path["float"], "--ratio", 0.25, "--finetune-epochs", 1, *SMALL, "-o", path["pruned"])
    run("ds-distill", path["pruned"], "--teacher", path["float"], "--epochs", 1, *SMALL, "-o", path["distilled"])
    run("ds-quantize", path["distilled"], *SMALL, "-o", path["int8"])
    return path


def calls(path, kind, out):
    model = path[kind]
    return {
        "prune": ["ds-prune", model, "--ratio", 0.25, *SMALL, "-o", out],
        "finetune": ["ds-prune", model, "--ratio", 0.25, "--finetune-epochs", 1, *SMALL, "-o", out],
        "quantize": ["ds-quantize", model, *SMALL, "-o", out],
        "distill": ["ds-distill", model, "--teacher", path["float"], "--epochs", 1, *SMALL, "-o", out],
        "train": ["ds-train", "--init", model, "--data", "digits", "--epochs", 1, *SMALL, "-o", out],
        "eval": ["ds-eval", model, *SMALL],
        "bench": ["ds-bench", path["float"], model, "--rounds", 5, "--min-time", 0.001, *SMALL],
        "inspect": ["ds-convert", model, "--inspect", "--format", "json"],
        "verify": ["ds-convert", model, "--verify", "--format", "json"],
    }


def steps(path):
    return len(run("ds-convert", path, "--inspect", "--format", "json").record["provenance"])


def test_every_tool_on_every_kind(folder):
    path = kinds(folder)
    for kind in path:
        for tool, call in calls(path, kind, "").items():
            out = f"{folder}/{tool}-{kind}-out.h5"
            call = [out if word == "" else word for word in call]
            if (tool, kind) in REFUSALS:
                refused(run(*call, expect=3), REFUSALS[tool, kind])
                check(not os.path.exists(out), tool, kind, "wrote after all")
                continue
            record = run(*call).record
            check(record["status"] == "done", tool, kind, record)
            if out not in call:
                continue
            run("ds-convert", out, "--verify")
            check(steps(out) == 1 if tool == "train" and steps(out) == 1 else steps(out) == steps(path[kind]) + 1, tool, kind, "provenance has", steps(out))


def test_orders(folder):
    path = kinds(folder)
    run("ds-quantize", path["float"], *SMALL, "-o", f"{folder}/q.h5")
    run("ds-prune", f"{folder}/q.h5", "--ratio", 0.25, *SMALL, "-o", f"{folder}/qp.h5")
    run("ds-distill", f"{folder}/qp.h5", "--teacher", path["float"], "--epochs", 6, *SMALL, "-o", f"{folder}/qpd.h5")
    good = run("ds-eval", f"{folder}/qpd.h5", *SMALL).record["metrics"]
    check(good["test_top1"] > 0.6, "quantized, pruned and distilled:", good)
    check(steps(f"{folder}/qpd.h5") == 4, steps(f"{folder}/qpd.h5"))


def test_pipes(folder):
    run("ds-train", *TRAIN, "--epochs", 2, *SMALL, "-o", f"{folder}/a.h5")
    record = run("ds-prune", f"{folder}/a.h5", *SMALL, "-o", f"{folder}/b.h5").out
    one = run("ds-quantize", "-", *SMALL, "-o", f"{folder}/c.h5", stdin=record.encode()).record
    image = run("ds-prune", f"{folder}/a.h5", *SMALL, "-o", "-").out
    check(isinstance(image, bytes) and image[:4] == b"\x89HDF", "no HDF5 bytes on stdout")
    two = run("ds-quantize", "-", *SMALL, "-o", f"{folder}/d.h5", stdin=image).record
    check(one["outputs"][0]["digest"] == two["outputs"][0]["digest"], "by record and by bytes differ")


def test_bad_input(folder):
    run("ds-train", *TRAIN, "--epochs", 1, *SMALL, "-o", f"{folder}/a.h5")
    model = f"{folder}/a.h5"
    run("ds-train", "--model", "cnn", "--set", "model.width=8", "--data", "synthetic:shape=1x8x8,classes=3,train=64,val=16,test=16", "--epochs", 1, *SMALL,
        "-o", f"{folder}/three.h5")
    before = open(model, "rb").read()
    out = f"{folder}/out.h5"
    refused(run("ds-distill", model, "--teacher", f"{folder}/three.h5", "-o", out, expect=3), "3 classes")
    refused(run("ds-prune", model, "--ratio", 1.5, "-o", out, expect=2), "1.5")
    refused(run("ds-prune", model, "-o", model, expect=2))
    refused(run("ds-prune", model, "-o", f"{folder}/three.h5", expect=2))
    refused(run("ds-distill", "-", "--teacher", "-", "-o", out, expect=2))
    refused(run("ds-prune", model, "-o", out, "--device", "cuda", expect=4))
    refused(run("ds-prune", model, "-o", out, "--memory-limit", "64KiB", expect=4))
    refused(run("ds-prune", "-", "-o", out, stdin=b"", expect=3))
    refused(run("ds-prune", "-", "-o", out, stdin=json.dumps({"schema": "ds-record/1", "status": "failed"}).encode(), expect=3))
    refused(run("ds-eval", model, "--data", "mnist5k", expect=3))
    check(not os.path.exists(out), "something was written")
    check(open(model, "rb").read() == before, "the input changed")


if __name__ == "__main__":
    main(__name__)
