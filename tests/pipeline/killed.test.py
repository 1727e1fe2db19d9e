"""ds-train killed at any moment, by SIGTERM or SIGKILL, and resumed: the digest of a run that was left alone, and figures without a gap or a
double line. DS_KILLS says how many kills at least (100 take some minutes)."""
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, run, start  # noqa: E402

KILLS = int(os.environ.get("DS_KILLS", "10"))
EPOCHS = 24
# What has a state of its own, or draws random numbers: all of it must come back.
CALL = ["ds-train", "--data", "synthetic:shape=1x8x8,classes=3,train=512,val=64,test=64", "--model", "cnn", "--set", "model.width=8", "--epochs", EPOCHS,
        "-b", 16, "--grad-accum-steps", 2, "--opt", "adamw", "--dropout", 0.2, "--mixup", 0.2, "--model-ema", "--augment", "flip", "--clip-grad", 1,
        "--threads", 1, "--format", "json", "-q", "--reproducible", "--set", "anomaly.loss_rise=0"]


def command(folder):
    return [*CALL, "--run-dir", folder, "-o", folder + "/net.h5", "--resume", "auto"]


def whole(folder):
    """Digest and figures of a run that nobody disturbs."""
    record = run(*command(folder)).record
    return [o["digest"] for o in record["outputs"]], *figures(folder)


def figures(folder):
    rows = list(csv.DictReader(open(folder + "/metrics.csv")))
    lines = [json.loads(line) for line in open(folder + "/metrics.jsonl")] if os.path.exists(folder + "/metrics.jsonl") else []
    return rows, lines


def killed(folder, source, longest):
    """Kills the run again and again until it ends. @return how often, and its record"""
    kills = 0
    for attempt in range(400):
        process = start(*command(folder))
        try:
            process.wait(source.uniform(0.2, longest) * (1 + attempt / 40))
        except subprocess.TimeoutExpired:
            process.send_signal(source.choice([signal.SIGTERM, signal.SIGKILL]))
            kills += 1
        said, err = process.communicate(timeout=120)
        if process.returncode == 0:
            return kills, json.loads(said)
        check(process.returncode in (75, 130, -signal.SIGTERM, -signal.SIGKILL), process.returncode, err)
        if os.path.exists(folder + "/net.h5"):  # SIGKILL came between the output and the record: it is whole
            run("ds-convert", "--verify", folder + "/net.h5")
            os.remove(folder + "/net.h5")
        if os.path.exists(folder + "/last.h5"):
            run("ds-convert", "--verify", folder + "/last.h5")
    raise AssertionError(f"the run did not end; killed {kills} times")


def test_killed_at_any_moment(folder):
    os.mkdir(folder + "/whole")
    digests, rows, lines = whole(folder + "/whole")
    check([int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1)), rows)
    source, kills, longest = random.Random(5), 0, 1.5
    for turn in range(100):
        parts = f"{folder}/parts{turn}"
        os.mkdir(parts)
        more, record = killed(parts, source, longest)
        kills += more
        check([o["digest"] for o in record["outputs"]] == digests, "killed", more, "times:", record["outputs"], "expected", digests)
        found, lines_found = figures(parts)
        check(found == rows, "metrics.csv:", found, "expected", rows)
        check(lines_found == lines, "metrics.jsonl:", lines_found, "expected", lines)
        shutil.rmtree(parts)
        if kills >= KILLS:
            break
        if more == 0:
            longest *= 0.7  # a fast machine was done before the signal came
    check(kills >= KILLS, kills, "kills, expected", KILLS)
    print(kills, "kills")


if __name__ == "__main__":
    main(__name__)
