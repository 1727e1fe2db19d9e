"""ds-train: what it writes, how it goes on after a signal, and what it refuses."""
import json
import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, command, main, refused, run, start, wait_for  # noqa: E402

HEADER = "epoch,step,train_loss,train_top1,val_loss,val_top1,lr,elapsed_s,samples_per_sec,peak_mem_bytes"
QUICK = ["--data", "digits", "--model", "mlp", "--epochs", 2, "--format", "json", "--quiet"]


def digest(result, name="model"):
    return next(output["digest"] for output in result.record["outputs"] if output["name"] == name)


def test_keeps_nothing_without_a_place(folder):
    result = run("ds-train", *QUICK, cwd=folder)
    metrics = result.record["metrics"]
    check(result.record["status"] == "done" and "outputs" not in result.record, result.out)
    check(metrics["test_top1_low"] < metrics["test_top1"] < metrics["test_top1_high"], metrics)
    check(metrics["test_top1"] > 0.85 and metrics["parameters"] > 1000 and metrics["macs"] > 1000, metrics)
    check(metrics["test_n"] == result.record["data"]["test"], metrics)
    check(os.listdir(folder) == [], os.listdir(folder))


def test_the_default_net_learns_digits(folder):
    result = run("ds-train", "--data", "digits", "--epochs", 3, "--augment", "affine", "-o", f"{folder}/net.h5", "--format", "json")
    check(result.record["metrics"]["test_top1"] > 0.9, result.record["metrics"])
    check("epoch 3/3" in result.err, result.err)
    check(result.record["outputs"][0]["path"] == os.path.realpath(f"{folder}/net.h5"), result.record["outputs"])


def test_dry_run_writes_nothing(folder):
    result = run("ds-train", *QUICK, "-n", "-o", f"{folder}/a.h5", "--run-dir", f"{folder}/run")
    check(result.record["metrics"]["parameters"] > 1000, result.out)
    check(os.listdir(folder) == [], os.listdir(folder))


def test_run_folder(folder):
    result = run("ds-train", *QUICK, "--run-dir", f"{folder}/run", "-o", f"{folder}/a.h5")
    made = sorted(name for name in os.listdir(f"{folder}/run") if not name.startswith("events.out.tfevents."))
    check(made == ["args.yaml", "best.h5", "last.h5", "metrics.csv", "metrics.jsonl", "report.html"], os.listdir(f"{folder}/run"))
    lines = open(f"{folder}/run/metrics.csv").read().splitlines()
    check(lines[0] == HEADER and len(lines) == 3, lines)
    row = dict(zip(HEADER.split(","), lines[2].split(",")))
    check(row["epoch"] == "2" and all(float(value) >= 0 for value in row.values()), row)
    check(digest(result, "last") == digest(result), result.record["outputs"])
    again = run("ds-train", "-c", f"{folder}/run/args.yaml", "-o", f"{folder}/b.h5", "--format", "json", "-q")
    check(digest(again) == digest(result), "args.yaml makes another net")
    refused(run("ds-train", *QUICK, "--run-dir", f"{folder}/run", expect=2), "holds a run already", "--resume auto")
    finished = run("ds-train", *QUICK, "--run-dir", f"{folder}/run", "--resume", "auto")
    check(digest(finished, "last") == digest(result), "a finished run changed")
    refused(run("ds-train", *QUICK, "--lr", "0.1", "--run-dir", f"{folder}/run", "--resume", "auto", expect=2), "optim.lr was 0.003, is 0.1")
    run("ds-train", *QUICK, "--run-dir", f"{folder}/run", "-f")


def test_reproducible_files_are_equal_bytes(folder):
    for name in "ab":
        os.mkdir(f"{folder}/{name}")
        run("ds-train", *QUICK, "--reproducible", "--keep", "best", "-o", "net.h5", cwd=f"{folder}/{name}")
    one, two = (open(f"{folder}/{name}/net.h5", "rb").read() for name in "ab")
    check(one == two, "the bytes differ")


def test_stopped_anywhere_and_resumed_gives_the_same_digest(folder):
    options = [*QUICK[:5], 30, *QUICK[6:], "--augment", "affine", "--reproducible"]  # long enough that a signal finds it at work
    wanted = digest(run("ds-train", *options, "-o", f"{folder}/whole.h5"))
    source = random.Random(1)
    stopped = 0
    for attempt in range(40):
        process = start("ds-train", *options, "-o", f"{folder}/parts.h5", "--resume", "auto")
        try:
            process.wait(source.uniform(0.4, 1.6) * (1 + attempt / 8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        # The signal's own exit, where it came before main(): nothing was lost.
        check(process.returncode in (75, -signal.SIGTERM), process.returncode, err)
        check(not os.path.exists(f"{folder}/parts.h5"), "an unfinished run left its output")
        if process.returncode == 75:
            stopped += 1
            check(os.path.exists(f"{folder}/parts.h5.partial"), "no state")
            check("state saved" in err and json.loads(out)["status"] == "stopped", out, err)
    check(process.returncode == 0 and stopped > 0, process.returncode, stopped, err)
    check(next(o["digest"] for o in json.loads(out)["outputs"]) == wanted, "another digest than that of one run")
    check(not os.path.exists(f"{folder}/parts.h5.partial"), "the state is still there")


def test_sigusr1_saves_and_goes_on(folder):
    process = start("ds-train", *QUICK[:5], 400, "--format", "json", "--progress", "plain", "-o", f"{folder}/a.h5")
    while "epoch" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(f"{folder}/a.h5.partial"))
    check(process.poll() is None, "it stopped")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    check(process.returncode == 75, process.returncode)


def test_nothing_to_save_is_130(folder):
    process = start("ds-train", *QUICK[:5], 400, "--format", "json", "--progress", "plain", cwd=folder)
    while "epoch" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    check(process.returncode == 130 and os.listdir(folder) == [], process.returncode, os.listdir(folder))


def test_two_processes_on_one_run_folder(folder):
    process = start("ds-train", *QUICK[:5], 400, "-q", "--run-dir", f"{folder}/run")
    wait_for(lambda: os.path.exists(f"{folder}/run/last.h5"))
    refused(run("ds-train", *QUICK, "--run-dir", f"{folder}/run", "--resume", "auto", expect=2),
            f"in use by process {process.pid} on {os.uname().nodename}")
    process.kill()
    process.communicate()
    # The lock of a dead process holds nobody up, and the state is whole.
    process = start("ds-train", *QUICK[:5], 400, "-q", "--run-dir", f"{folder}/run", "--resume", "auto")
    wait_for(lambda: f" {process.pid} " in open(f"{folder}/run/lock").read() if os.path.exists(f"{folder}/run/lock") else False)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    check(process.returncode == 75, process.returncode)


def test_a_reader_that_went_away(folder):
    process = start("ds-train", *QUICK, "-o", f"{folder}/a.h5")
    process.stdout.close()
    process.wait(120)
    check(process.returncode == 0 and os.path.exists(f"{folder}/a.h5"), process.returncode, process.stderr.read())
    process.stderr.close()


def test_outputs_are_not_overwritten(folder):
    path = f"{folder}/a.h5"
    open(path, "w").write("mine")
    refused(run("ds-train", *QUICK, "-o", path, expect=2), path)
    check(open(path).read() == "mine", "the file changed")
    run("ds-train", *QUICK, "-o", path, "-f")
    refused(run("ds-train", *QUICK, "--init", path, "-o", path, "-f", expect=2), path)
    refused(run("ds-train", *QUICK, "-o", f"{folder}/none/a.h5", expect=4), f"{folder}/none")


def test_bytes_to_stdout(folder):
    result = subprocess.run(command("ds-train", *QUICK, "-o", "-", "--record", f"{folder}/r.json"), capture_output=True, timeout=120)
    check(result.returncode == 0 and result.stdout.startswith(b"\x89HDF"), result.stderr)
    check(json.load(open(f"{folder}/r.json"))["status"] == "done", "no record")


def test_begins_with_the_weights_of_a_checkpoint(folder):
    first = run("ds-train", *QUICK, "-o", f"{folder}/a.h5")
    second = run("ds-train", "--init", f"{folder}/a.h5", "--epochs", 1, "--lr", "1e-5", "-o", f"{folder}/b.h5", "--format", "json", "-q")
    check(second.record["metrics"]["test_top1"] > first.record["metrics"]["test_top1"] - 0.05, second.out)
    check(second.record["inputs"][0]["digest"] == digest(first), second.out)
    refused(run("ds-train", "--init", f"{folder}/a.h5", "--data", "synthetic:shape=1x8x8,classes=4", expect=3), "10 classes", "has 4")
    refused(run("ds-train", "--init", f"{folder}/a.h5", "--data", "mnist5k", expect=3), "images of 1x28x28")


def test_small_and_odd_data(folder):
    large = run("ds-train", *QUICK, "--batch-size", 100000)
    check(large.record["metrics"]["steps"] == 2, large.out)
    one = run("ds-train", "--data", "synthetic:shape=1x8x8,classes=1,train=20,val=5,test=5", "--model", "mlp", "--epochs", 1, "--format", "json")
    check(one.record["metrics"]["test_top1"] == 1, one.out)
    no_val = run("ds-train", "--data", "synthetic:shape=1x8x8,classes=3,train=20,val=0,test=0", "--model", "mlp", "--epochs", 1, "--format", "json",
                 "--run-dir", f"{folder}/run", "--keep", "best")
    check("val_top1" not in no_val.record["metrics"] and not os.path.exists(f"{folder}/run/best.h5"), no_val.out)


def test_a_diverged_loss_names_the_layer(folder):
    result = run("ds-train", *QUICK, "--lr", "1e30", "-o", f"{folder}/a.h5", expect=1)
    refused(result, "fc", "the loss is", "not finite", "lower optim.lr")
    refused(run("ds-train", "--data", "digits", "--lr", "1e30", "--epochs", 1, "-q", expect=1), "conv", "not finite")
    check(os.listdir(folder) == [], os.listdir(folder))


def test_usage(folder):
    refused(run("ds-train", expect=2), "--data")
    refused(run("ds-train", "--data", "digitz", expect=2), "digitz", "did you mean 'digits'")
    refused(run("ds-train", *QUICK, "--model", "mpl", expect=2), "mpl", "did you mean 'mlp'")
    refused(run("ds-train", *QUICK, "--optim.momentum", "0.9", expect=2), "momentum", "sgd")
    refused(run("ds-train", *QUICK, "--model.num_classes", "7", expect=2), "model.num_classes")
    refused(run("ds-train", *QUICK, "--dropout", "1.5", expect=2), "1.5")


if __name__ == "__main__":
    main(__name__)
