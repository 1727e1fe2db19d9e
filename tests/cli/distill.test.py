"""ds-distill: a damaged student learns, weights of 0 and 1, int8 students, dry runs, equal bytes, resuming, and teachers that do not fit."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run, start  # noqa: E402
from lab import SMALL, digest, inspect, quantized, tensors, trained  # noqa: E402


def damaged(folder):
    """The net without half of its channels."""
    run("ds-prune", trained("cnn"), "--ratio", 0.5, *SMALL, "-f", "-o", f"{folder}/damaged.h5")
    return f"{folder}/damaged.h5"


def distill(folder, student, *options, teacher=None, name="out", **more):
    return run("ds-distill", student, "--teacher", teacher or trained("cnn"), *options, *SMALL, "-o", f"{folder}/{name}.h5", **more)


def test_a_damaged_student_learns(folder):
    student = damaged(folder)
    result = distill(folder, student, "--epochs", 4, "--lr", 0.01)
    metrics = result.record["metrics"]
    check(metrics["val_top1"] > metrics["before_val_top1"] + 0.1, metrics)
    for key in ("teacher_val_top1", "val_loss", "before_val_loss", "parameters", "macs", "tensor_bytes"):
        check(key in metrics, key, metrics)
    check([entry["name"] for entry in result.record["inputs"]] == ["student", "teacher"], result.record["inputs"])
    for path, key in ((student, "before_val_top1"), (trained("cnn"), "teacher_val_top1"), (f"{folder}/out.h5", "val_top1")):
        check(run("ds-eval", path, "--split", "val", *SMALL).record["metrics"]["val_top1"] == metrics[key], key, metrics)
    step = inspect(f"{folder}/out.h5")["provenance"][-1]
    check(all(entry["digest"][:12] in step for entry in result.record["inputs"]), "student and teacher are parents:", step)
    check(inspect(f"{folder}/out.h5")["history"]["epochs"] == 4, "history")


def test_the_weights_of_the_two_terms(folder):
    """With a soft weight of 0 no teacher matters; with 1 no label does."""
    student = damaged(folder)
    hard = [digest(distill(folder, student, "--epochs", 1, "--soft-weight", 0, teacher=teacher, name=f"h{i}")) for i, teacher in enumerate((trained("cnn"), student))]
    check(hard[0] == hard[1], "a weight of 0 still hears the teacher")
    soft = [digest(distill(folder, student, "--epochs", 1, "--soft-weight", 1, teacher=teacher, name=f"s{i}")) for i, teacher in enumerate((trained("cnn"), student))]
    check(soft[0] != soft[1], "a weight of 1 does not hear the teacher")
    smooth = digest(distill(folder, student, "--epochs", 1, "--soft-weight", 1, "--smoothing", 0.3, name="s2"))
    check(smooth == soft[0], "a weight of 1 still hears the labels")
    half = {digest(distill(folder, student, "--epochs", 1, *options, name=f"m{i}"))
            for i, options in enumerate(([], ["--temperature", 4], ["--soft-weight", 0.3], ["--smoothing", 0.3]))}
    check(len(half) == 4, "temperature, weight and smoothing matter")
    # Its own teacher, at weight 1 and without decay: the loss is at its minimum, nothing is to be learnt, BatchNorm's statistics apart.
    own = distill(folder, trained("mlp"), "--epochs", 1, "--soft-weight", 1, "--weight-decay", 0, "--opt", "sgd", teacher=trained("mlp"), name="own")
    before, after = tensors(trained("mlp")), tensors(f"{folder}/own.h5")
    apart = max(abs(x - y) for name in before for x, y in zip(before[name][2], after[name][2]))
    check(apart < 1e-4 and own.record["metrics"]["val_top1"] == own.record["metrics"]["before_val_top1"], apart)


def test_int8_students_stay_int8(folder):
    run("ds-quantize", damaged(folder), *SMALL, "-o", f"{folder}/int8.h5")
    result = distill(folder, f"{folder}/int8.h5", "--epochs", 4, "--lr", 0.01)
    before, after = tensors(f"{folder}/int8.h5"), tensors(f"{folder}/out.h5")
    check({name: t[:2] for name, t in before.items()} == {name: t[:2] for name, t in after.items()}, "the same tensors of the same types and shapes")
    check(before["conv2.weight"] != after["conv2.weight"] and all(abs(code) <= 127 for code in after["conv2.weight"][2]), "codes were trained")
    metrics = result.record["metrics"]
    check(metrics["val_top1"] > metrics["before_val_top1"] + 0.1, metrics)
    run("ds-eval", f"{folder}/out.h5", *SMALL)
    # An int8 teacher teaches as well.
    taught = distill(folder, f"{folder}/damaged.h5", "--epochs", 1, teacher=quantized("cnn"), name="taught")
    check(taught.record["metrics"]["teacher_val_top1"] > taught.record["metrics"]["before_val_top1"], taught.record["metrics"])


def test_a_dry_run_writes_nothing(folder):
    student = damaged(folder)
    dry = distill(folder, student, "-n")
    check(sorted(os.listdir(folder)) == ["damaged.h5"] and "outputs" not in dry.record, os.listdir(folder))
    check(dry.record["metrics"]["parameters"] == inspect(student)["metrics"]["parameters"], dry.out)


def test_no_epochs_change_nothing(folder):
    student = damaged(folder)
    distill(folder, student, "--epochs", 0)
    check(tensors(f"{folder}/out.h5") == tensors(student), "other weights after no epoch")


def test_equal_bytes_and_seeds(folder):
    student = damaged(folder)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        os.mkdir(f"{folder}/{name}")
        run("ds-distill", student, "--teacher", trained("cnn"), "--epochs", 1, "--seed", seed, "--augment", "affine", "--reproducible", *SMALL, "-o", "out.h5",
            cwd=f"{folder}/{name}")
    one, two, other = (open(f"{folder}/{name}/out.h5", "rb").read() for name in "abc")
    check(one == two and one != other, "bytes")


def test_stopped_and_resumed(folder):
    student = damaged(folder)
    options = ["--epochs", 60, "--reproducible"]
    wanted = digest(distill(folder, student, *options, name="whole"))
    process = start("ds-distill", student, "--teacher", trained("cnn"), *options, "--threads", 1, "--progress", "plain", "-o", f"{folder}/out.h5")
    while "distil 2/" not in process.stderr.readline():
        check(process.poll() is None, "it ended before it could be stopped")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 75 and "--resume auto" in err and not os.path.exists(f"{folder}/out.h5"), process.returncode, err)
    check(digest(distill(folder, student, *options, "--resume", "auto")) == wanted, "another digest than that of one run")
    check(sorted(os.listdir(folder)) == ["damaged.h5", "out.h5", "whole.h5"], os.listdir(folder))


def test_teachers_that_do_not_fit(folder):
    student = damaged(folder)
    run("ds-train", "--data", "synthetic:shape=1x8x8,classes=4", "--model", "mlp", "--epochs", 1, *SMALL, "-o", f"{folder}/four.h5")
    refused(distill(folder, student, teacher=f"{folder}/four.h5", expect=3), "four.h5", "4 classes", "10")
    refused(distill(folder, student, teacher=f"{folder}/none.h5", expect=3), "none.h5")
    refused(run("ds-distill", student, *SMALL, "-o", f"{folder}/out.h5", expect=2), "--teacher", "is required")
    refused(run("ds-distill", student, "--teacher", trained("cnn"), *SMALL, "-f", "-o", student, expect=2), "output is also an input")
    refused(run("ds-distill", "-", "--teacher", "-", *SMALL, "-o", f"{folder}/out.h5", expect=2), "at most one can be stdin")


def test_usage(folder):
    for flag, value in (("--temperature", 0), ("--temperature", -1), ("--soft-weight", 1.5), ("--soft-weight", -0.1), ("--epochs", -1), ("--loss", "logit")):
        refused(distill(folder, trained("cnn"), flag, value, teacher=trained("cnn"), expect=2), flag, f"{value}")
    check(os.listdir(folder) == [], os.listdir(folder))


if __name__ == "__main__":
    main(__name__)
