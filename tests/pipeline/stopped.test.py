"""Signals at any moment of ds-prune, ds-distill and ds-tune: the state is saved, exit 75, and the same command goes on to the same digest."""
import json
import os
import random
import signal
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, loaded, main, run, snapshot, start, wait_for  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "-q", "--reproducible"]
DATA = "synthetic:shape=1x8x8,classes=3,train=512,val=64,test=64"
EPOCHS = 60


def net(folder, *more):
    path = f"{folder}/net.h5"
    run("ds-train", "--data", DATA, "--model", "cnn", "--set", "model.width=8", "--epochs", 1, *SMALL, *more, "-o", path)
    return path


def digest(text):
    return json.loads(text)["outputs"][0]["digest"]


def until_done(call, out, source, shortest, longest):
    """Stops the call by signals after random times until it is done, and tells how often it was stopped with its state saved."""
    stopped = 0
    for attempt in range(60):
        process = start(*call, "-o", out, "--resume", "auto")
        try:
            process.wait(source.uniform(shortest, longest) * (1 + attempt / 6))  # on a busy machine the first ones may come too early to get anywhere
        except subprocess.TimeoutExpired:
            process.send_signal(source.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        said, err = process.communicate(timeout=120)
        if process.returncode == 0:
            check(not os.path.exists(out + ".partial"), "the state is still there")
            if stopped > 0:
                return stopped, digest(said)
            os.remove(out)  # a fast machine was done before the signal came
            longest = shortest + (longest - shortest) / 2
            shortest *= 0.8
            continue
        check(process.returncode in (75, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP), call, process.returncode, err)
        check(not os.path.exists(out), "an unfinished run left its output")
        if process.returncode == 75:
            stopped += 1
            check("state saved" in err and "--resume auto" in err and len(err.splitlines()) == 1, err)
            check(json.loads(said)["status"] == "stopped", said)
            run("ds-convert", "--verify", out + ".partial")
    raise AssertionError(f"{call[0]} did not end in 60 attempts; stopped {stopped} times")


def test_fine_tuning_after_pruning(folder):
    call = ["ds-prune", net(folder), "--ratio", 0.25, "--finetune-epochs", EPOCHS, *SMALL]
    wanted = digest(run(*call, "-o", f"{folder}/whole.h5").out)
    stopped, found = until_done(call, f"{folder}/parts.h5", random.Random(1), 0.3, 1.2)
    check(stopped > 0 and found == wanted, "stopped", stopped, "times:", found, "expected", wanted)


def test_distillation_of_an_int8_student(folder):
    teacher, student = net(folder), f"{folder}/student.h5"
    run("ds-quantize", teacher, *SMALL, "-o", student)
    call = ["ds-distill", student, "--teacher", teacher, "--epochs", EPOCHS // 2, *SMALL]
    wanted = digest(run(*call, "-o", f"{folder}/whole.h5").out)
    stopped, found = until_done(call, f"{folder}/parts.h5", random.Random(2), 0.3, 1.2)
    check(stopped > 0 and found == wanted, "stopped", stopped, "times:", found, "expected", wanted)


def test_a_full_disk_in_the_place_of_a_state(folder):
    """The signal comes, the state cannot be saved: that is told, and the state of before stays."""
    shim = os.path.join(os.environ.get("DS_BUILD", "build"), "lib", "libds_fault.so")
    out = f"{folder}/out.h5"
    call = ["ds-prune", net(folder), "--finetune-epochs", 4000, "--threads", 1, "-v", "--format", "json", "--progress", "plain", "-o", out]
    process = start(*call)
    while "fine-tune" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    check(process.returncode == 75, process.returncode)
    before = snapshot(folder)
    process = start(*call, "--resume", "auto", env={**os.environ, "LD_PRELOAD": shim, "DS_FAULT": "write:1+:enospc", "DS_FAULT_PATH": folder})
    while "resumed from" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    said, err = process.communicate(timeout=60)
    check(process.returncode == 4 and f"{out}.partial: cannot be written: No space left on device" in err, process.returncode, err)
    check(json.loads(said)["status"] == "failed", said)
    check(snapshot(folder) == before, "something changed")


def test_what_has_no_state_stops_too(folder):
    path, many = net(folder), DATA.replace("test=64", "test=200000")
    for call in (["ds-eval", path, "--data", many, "--batch-size", 16], ["ds-bench", path, "--data", many], ["ds-bench", path, "--rounds", 100000]):
        process = start(*call, "--threads", 1, "--format", "json", "-q", cwd=folder)
        wait_for(lambda: loaded(process) or process.poll() is not None)  # a signal before main() ends it by itself, one after it in order
        check(process.poll() is None, call, "is done already")
        process.send_signal(signal.SIGTERM)
        said, err = process.communicate(timeout=60)
        check(process.returncode == 130 and "interrupted: stopped by a signal" in err and len(err.splitlines()) == 1, call, process.returncode, err)
        check(json.loads(said)["status"] == "stopped", said)


def test_a_study(folder):
    """Trials of ds-train: stopped and gone on with, the study has the same trials with the same results."""
    space = f"{folder}/space.yaml"
    open(space, "w").write("metric: {name: best_val_top1, goal: maximize}\nparameters: {optim.lr: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}}\n")
    call = lambda study: ["ds-tune", "run", "--space", space, "--trials", 3, "--threads", 1, "--format", "json", "-q", "-o", study, "--",  # noqa: E731
                          "ds-train", "-c", "{config}", "--data", DATA, "--model", "mlp", "--epochs", 8, *map(str, SMALL)]
    path = {**os.environ, "PATH": os.environ.get("DS_BIN", "build/bin") + ":" + os.environ["PATH"]}
    trials = lambda study: run("ds-tune", "status", study, "--format", "json").record["trials"]  # noqa: E731
    results = lambda study: [(trial["parameters"], trial.get("best_val_top1")) for trial in trials(study)]  # noqa: E731
    run(*call(f"{folder}/whole"), env=path)
    source, stopped, longest = random.Random(3), 0, 1.5
    for attempt in range(60):
        process = start(*call(f"{folder}/parts"), env=path)
        try:
            process.wait(source.uniform(0.2, longest) * (1 + attempt / 6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        said, err = process.communicate(timeout=120)
        if process.returncode == 0 and stopped > 0:
            break
        if process.returncode == 0:  # a fast machine was done before the signal came
            shutil.rmtree(f"{folder}/parts")
            longest *= 0.7
            continue
        check(process.returncode in (75, -signal.SIGTERM), process.returncode, err)
        stopped += process.returncode == 75
    check(process.returncode == 0 and stopped > 0, process.returncode, stopped, err)
    check(results(f"{folder}/parts") == results(f"{folder}/whole"), results(f"{folder}/parts"), "expected", results(f"{folder}/whole"))


if __name__ == "__main__":
    main(__name__)
