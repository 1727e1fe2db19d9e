"""ds-eval: figures, gates, predictions, inputs by record and by bytes, and what it refuses."""
import csv
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, command, main, refused, run  # noqa: E402


def trained(folder, *more):
    path = f"{folder}/net.h5"
    return path, run("ds-train", "--data", "digits", "--model", "mlp", "--epochs", 2, "-o", path, "--format", "json", "-q", *more)


SPEED = ("latency_", "samples_per_sec", "peak_mem_bytes")


def lasting(result):
    """Metrics without what each run measures anew."""
    return {key: value for key, value in result.record["metrics"].items() if not key.startswith(SPEED)}


def test_the_same_figures_as_the_run_that_made_it(folder):
    path, made = trained(folder)
    result = run("ds-eval", path, "--format", "json", cwd="/")
    for key in ("test_n", "test_top1", "test_top1_low", "test_top1_high", "test_loss", "parameters", "macs"):
        check(result.record["metrics"][key] == made.record["metrics"][key], key)
    check(result.record["inputs"][0]["digest"] == made.record["outputs"][0]["digest"], result.out)
    confusion = result.record["confusion"]
    check(sum(map(sum, confusion)) == result.record["metrics"]["test_n"], confusion)
    other_batch = run("ds-eval", path, "--format", "json", "--batch-size", 7)
    check(other_batch.record["confusion"] == confusion, "the batch size changes predictions")
    val = run("ds-eval", path, "--split", "val", "--format", "json")
    check(val.record["metrics"]["val_top1"] == made.record["metrics"]["val_top1"], val.out)


def test_predictions(folder):
    path, _ = trained(folder)
    result = run("ds-eval", path, "--predictions", f"{folder}/p.csv", "--format", "json")
    rows = list(csv.DictReader(open(f"{folder}/p.csv")))
    right = sum(row["label"] == row["prediction"] for row in rows)
    check(right / len(rows) == result.record["metrics"]["test_top1"], right)
    check(all(0.1 <= float(row["confidence"]) <= 1 for row in rows) and len({row["id"] for row in rows}) == len(rows), rows[0])
    refused(run("ds-eval", path, "--predictions", f"{folder}/p.csv", expect=2), "p.csv")


def test_gates(folder):
    path, _ = trained(folder)
    run("ds-eval", path, "--min-metric", "top1=0.5", "--min-metric", "test_top5=0.9")
    result = run("ds-eval", path, "--min-metric", "top1=0.9999", "--predictions", f"{folder}/p.csv", "--format", "json", expect=5)
    refused(result, "top1 is", "at least 0.9999")
    check(result.record["status"] == "failed" and result.record["metrics"]["test_top1"] > 0.5, result.out)
    check(not os.path.exists(f"{folder}/p.csv"), "an output in spite of the gate")
    refused(run("ds-eval", path, "--min-metric", "top1", expect=2), "NAME=VALUE")
    refused(run("ds-eval", path, "--min-metric", "top9=1", expect=2), "top9", "test_top1")


def test_each_figure_has_an_interval_and_can_be_a_gate(folder):
    path, made = trained(folder)
    metrics = run("ds-eval", path, "--format", "json").record["metrics"]
    gates = []
    for name in ("loss", "top1", "top5", "precision_macro", "recall_macro", "f1_macro", "f1_micro", "auroc", "ece", "mcc"):
        key = "test_" + name
        check(metrics[key + "_low"] <= metrics[key] <= metrics[key + "_high"], key, metrics)
        check(made.record["metrics"][key] == metrics[key], "another figure in the run that made it:", key)
        gates += ["--min-metric", f"{name}=0", "--max-metric", f"{key}=100"]
    run("ds-eval", path, *gates)
    for name in ("latency_p50_s", "latency_p99_s"):
        check(0 < metrics[name + "_low"] <= metrics[name] <= metrics[name + "_high"], name, metrics)
    check(metrics["latency_p50_s"] <= metrics["latency_p99_s"] and metrics["samples_per_sec"] > 0 and metrics["peak_mem_bytes"] > 0 and metrics["tensor_bytes"] > 0, metrics)
    check(abs(metrics["test_f1_micro"] - metrics["test_top1"]) < 1e-12, metrics)
    refused(run("ds-eval", path, "--min-metric", "auroc=1.01", expect=5), "auroc is", "at least 1.01")
    refused(run("ds-eval", path, "--max-metric", "ece=0", expect=5), "ece is", "at most 0")
    rows = {row["metric"]: row for row in csv.DictReader(run("ds-eval", path, "--format", "csv").out.splitlines())}
    check(abs(float(rows["test_auroc"]["value"]) - metrics["test_auroc"]) < 1e-5 and rows["test_auroc"]["low"] and not rows["macs"]["low"], rows)
    check("test_f1_macro" in run("ds-eval", path, "--format", "table").out, "no table")
    quiet = run("ds-eval", path, "--reproducible", "--format", "json").record["metrics"]
    check(not any(key.startswith(SPEED) for key in quiet), quiet)


def test_pipes(folder):
    path, made = trained(folder)
    by_record = run("ds-eval", "-", "--format", "json", stdin=made.out.encode())
    by_bytes = run("ds-eval", "-", "--format", "json", stdin=open(path, "rb").read())
    check(lasting(by_record) == lasting(by_bytes), by_bytes.out)
    refused(run("ds-eval", "-", stdin=b"", expect=3), "empty")
    run("ds-eval", "-", stdin=b'{"schema": "ds-record/1", "status": "failed", "tool": "ds-train"}', expect=3)
    line = '"$0" --data digits --model mlp --epochs 1 -q -o - | "$1" - --format json'
    whole = subprocess.run(["bash", "-c", line, *command("ds-train"), *command("ds-eval")], capture_output=True, timeout=120)
    check(whole.returncode == 0, whole.stderr)


def test_what_does_not_fit(folder):
    path, _ = trained(folder)
    refused(run("ds-eval", path, "--data", "synthetic:shape=1x8x8,classes=4", expect=3), "10 classes", "has 4")
    refused(run("ds-eval", path, "--data", "mnist5k", expect=3), "images of 1x28x28")
    refused(run("ds-eval", path, "--data", "synthetic:shape=1x8x8,test=0", expect=3), "test")
    refused(run("ds-eval", f"{folder}/none.h5", expect=3), "none.h5")
    refused(run("ds-eval", folder, expect=3), folder)
    refused(run("ds-eval", path, "--split", "tset", expect=2), "tset")


if __name__ == "__main__":
    main(__name__)
