"""ds-train --probe: one batch is looked at, nothing is trained or written. And activation checkpointing, from the outside."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402

NET = ["--model", "cnn", "--model.width", 8, "--data", "digits", "--threads", 1, "--quiet"]


def test_record_and_table(folder):
    probe = run("ds-train", *NET, "--probe", "--format", "json", cwd=folder).record["probe"]
    check({"conv2d", "batch_norm2d", "linear"} <= {layer["op"] for layer in probe["layers"]}, probe["layers"])
    memory = probe["memory"]
    check(abs(memory["estimated_peak"] - memory["measured_peak"]) < 0.15 * memory["measured_peak"], memory)
    check(probe["step"]["gradient_norm"] > 0 and probe["step"]["samples"] == 64, probe["step"])
    table = run("ds-train", *NET, "--probe", "--format", "table", cwd=folder)
    check("weights' gradient" in table.out.splitlines()[0], table.out)
    check(os.listdir(folder) == [], os.listdir(folder))


def test_refusals(folder):
    for extra in (["-o", "a.h5"], ["--run-dir", "run"], ["--find-lr"]):
        refused(run("ds-train", *NET, "--probe", *extra, cwd=folder, expect=2), "--probe")


def test_checkpointing_changes_no_byte(folder):
    losses = set()
    for how in ("none", "all", "every:2"):
        result = run("ds-train", *NET, "--epochs", 1, "--format", "json", "--set", f"precision.checkpointing={how}", cwd=folder)
        losses.add((result.record["metrics"]["train_loss"], result.record["metrics"]["test_loss"]))
    check(len(losses) == 1, losses)


def test_a_budget_below_the_least(folder):
    refused(run("ds-train", *NET, "--set", "precision.checkpointing=auto", "--set", "precision.activation_budget=1KiB", cwd=folder, expect=2),
            "precision.activation_budget", "below the least")


if __name__ == "__main__":
    main(__name__)
