"""Optimizers, schedules and parameter groups of ds-train from the outside."""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, loaded, main, run, start, wait_for  # noqa: E402

DIGITS = ["--data", "digits", "--model", "mlp", "--threads", 1, "--format", "json", "--progress", "none", "--reproducible"]
OPTIMIZERS = ["adagrad", "adam", "adamw", "lamb", "lion", "muon", "rmsprop", "sgd"]
SCHEDULES = ["constant", "cosine", "exponential", "multi-step", "one-cycle", "plateau", "polynomial", "step", "wsd"]


def digest(result):
    return next(output["digest"] for output in result.record["outputs"])


def test_every_optimizer_and_every_schedule_trains(folder):
    for name in OPTIMIZERS:
        top1 = run("ds-train", *DIGITS, "--opt", name, "--epochs", 2).record["metrics"]["val_top1"]
        check(top1 > 0.5, name, top1)
    for name in SCHEDULES:
        top1 = run("ds-train", *DIGITS, "--sched", name, "--warmup-epochs", 0.5, "--epochs", 1).record["metrics"]["val_top1"]
        check(top1 > 0.5, name, top1)


def test_a_state_of_fewer_bits_learns_as_well_and_resumes_to_the_same_digest(folder):
    options = [*DIGITS, "--model.hidden", "256,128", "--epochs", 4]
    full = run("ds-train", *options).record["metrics"]["val_top1"]
    for bits in (16, 8):
        few = [*options, "--state-bits", bits]
        whole = run("ds-train", *few, "-o", f"{folder}/{bits}.h5")
        check(whole.record["metrics"]["val_top1"] > full - 0.03, bits, whole.record["metrics"]["val_top1"], full)
        process = start("ds-train", *few, "-o", f"{folder}/{bits}-stopped.h5")
        wait_for(lambda: loaded(process))
        process.send_signal(signal.SIGTERM)
        process.communicate()
        resumed = run("ds-train", *few, "--resume", "auto", "-o", f"{folder}/{bits}-stopped.h5") if process.returncode == 75 else None
        check(process.returncode in (0, 75, 130), process.returncode)
        if resumed:
            check(digest(resumed) == digest(whole), bits, "another digest after a resume")


def test_lr_auto_is_a_number_by_the_batch(folder):
    said = run("ds-train", *DIGITS, "--opt", "sgd", "--sched", "cosine", "--lr", "auto", "-b", 64, "--epochs", 1).err
    check("optim.lr: auto is 0.4 for a batch of 64" in said, said)
    refused = run("ds-train", *DIGITS, "--opt", "lion", "--lr", "auto", "--epochs", 1, expect=2).err
    check("'auto' has no rule for optimizer 'lion' with schedule 'one-cycle'" in refused and "--find-lr" in refused, refused)
    check("expected a number or auto, got 'fast'" in run("ds-train", *DIGITS, "--lr", "fast", expect=2).err)


def test_contradictions_are_told_before_the_first_step(folder):
    for options, said in (
        (["--warmup-steps", 500], "a warm-up of 500 steps, the run has"),
        (["--warmup-steps", 5, "--warmup-epochs", 1], "schedule.warmup_epochs: is given beside schedule.warmup_steps"),
        (["--sched", "cosine", "--cycle-mul", 2], "schedule.cycle_epochs: is 0"),
        (["--opt", "adam", "--optim.betas", "0.9"], "optim.betas: expected two values, got 1"),
        (["--freeze", "layerz.*"], "no parameter is called 'layerz.*'"),
        (["--freeze", "*"], "nothing is left to train"),
    ):
        got = run("ds-train", *DIGITS, "--epochs", 1, *options, "-o", f"{folder}/no.h5", expect=2).err
        check(said in got, options, got)
        check(not os.path.exists(f"{folder}/no.h5"))


def test_plateau_resumes_to_the_same_digest(folder):
    options = [*DIGITS, "--sched", "plateau", "--patience-epochs", 0, "--schedule.threshold", 0.3, "--decay-rate", 0.5]
    whole = run("ds-train", *options, "--epochs", 6, "--run-dir", f"{folder}/a", "-o", f"{folder}/a.h5")
    rates = [line.split(",")[6] for line in open(f"{folder}/a/metrics.csv").read().split()[1:]]
    check(len(set(rates)) > 1, rates)
    process = start("ds-train", *options, "--epochs", 6, "--run-dir", f"{folder}/b", "-o", f"{folder}/b.h5")
    wait_for(lambda: process.poll() is not None or os.path.exists(f"{folder}/b/last.h5"))
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    again = run("ds-train", *options, "--epochs", 6, "--run-dir", f"{folder}/b", "--resume", "auto", "-f", "-o", f"{folder}/b.h5")
    check(digest(again) == digest(whole))


def test_find_lr_draws_a_curve_and_trains_nothing(folder):
    result = run("ds-train", *DIGITS, "--find-lr", "-o", f"{folder}/curve.svg")
    found = result.record["find_lr"]
    check(1e-5 < found["suggested"] < 1, found["suggested"])
    check(len(found["lr"]) == len(found["loss"]) >= 10)
    picture = open(f"{folder}/curve.svg").read()
    check(picture.startswith("<svg") and "polyline" in picture and picture.rstrip().endswith("</svg>"))
    check(re.search(r"falls most steeply at a learning rate of [0-9.e-]+", result.err), result.err)
    check(os.listdir(folder) == ["curve.svg"], os.listdir(folder))
    check("name a file that ends in .svg" in run("ds-train", *DIGITS, "--find-lr", "-o", f"{folder}/net.h5", expect=2).err)


def test_batch_size_auto_fits_the_memory(folder):
    options = [*DIGITS, "--model", "cnn", "-b", "auto", "--train.eval_batch_size", 4, "--epochs", 1]
    sizes = []
    for limit in ("2G", "3M"):
        result = run("ds-train", *options, "--memory-limit", limit)
        sizes.append(int(re.search(r"train.batch_size: auto is (\d+)", result.err).group(1)))
    check(sizes[0] > sizes[1] >= 1, sizes)
    run("ds-train", *options, "--memory-limit", "3M", "--run-dir", f"{folder}/run")
    check(f"batch_size: {sizes[1]}" in open(f"{folder}/run/args.yaml").read(), sizes)
    # What was found stays when the run goes on with more memory.
    run("ds-train", *options, "--memory-limit", "2G", "--run-dir", f"{folder}/run", "--resume", "auto")
    refused = run("ds-train", *options, "--memory-limit", "1M", expect=4).err
    check("one sample alone does not fit in memory" in refused, refused)


if __name__ == "__main__":
    main(__name__)
