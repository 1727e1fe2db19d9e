"""Fine-tuning and distillation that a signal stopped: the same command with --resume auto ends in the digest of one run."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run, start  # noqa: E402

SMALL = ["--threads", 1, "--format", "json"]
EPOCHS = 30  # long enough that a signal finds it at work
SHAPE = ["--data", "digits", "--model", "cnn", "--model.width", 4]


def digest(result):
    return next(output["digest"] for output in result.record["outputs"])


def stop(*call):
    """Starts the tool, stops it after its first epoch; whether it was at work still."""
    process = start(*call, "--progress", "plain")
    for line in process.stderr:
        if f" 1/{EPOCHS}" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    check(process.returncode in (0, 75), process.returncode, err)
    if process.returncode == 75:
        check(json.loads(out)["status"] == "stopped", out)
    return process.returncode == 75


def test_a_state_is_of_one_command_alone(folder):
    model, teacher = f"{folder}/model.h5", f"{folder}/teacher.h5"
    run("ds-train", *SHAPE, "--epochs", 1, *SMALL, "--progress", "none", "-o", model)
    run("ds-train", *SHAPE, "--epochs", 2, *SMALL, "--progress", "none", "-o", teacher)
    prune = ["ds-prune", model, "--ratio", 0.25, "--finetune-epochs", EPOCHS, "--augment", "affine", *SMALL, "-o", f"{folder}/p.h5", "--resume", "auto"]
    check(stop(*prune), "it was done before the signal came")
    refused(run(*prune, "--augment", "crop", expect=2), "augmentation.names was", "--resume no")
    refused(run(*prune, "--lr", 0.5, expect=2), "optim.lr was")
    check(sorted(os.listdir(folder)) == ["model.h5", "p.h5.partial", "teacher.h5"], os.listdir(folder))


def test_an_int8_student_stopped_twice_ends_in_the_digest_of_one_run(folder):
    model, teacher = f"{folder}/model.h5", f"{folder}/teacher.h5"
    run("ds-train", *SHAPE, "--epochs", 1, *SMALL, "--progress", "none", "-o", model)
    run("ds-train", *SHAPE, "--epochs", 2, *SMALL, "--progress", "none", "-o", teacher)
    run("ds-quantize", model, *SMALL, "--progress", "none", "-o", f"{folder}/int8.h5")
    # It is trained as a net with fake-quantization: that one's state is saved.
    distill = ["ds-distill", f"{folder}/int8.h5", "--epochs", EPOCHS, *SMALL]
    whole = digest(run(*distill, "--teacher", teacher, "--progress", "none", "-o", f"{folder}/whole.h5"))
    parts = [*distill, "-o", f"{folder}/parts.h5", "--resume", "auto"]
    check(stop(*parts, "--teacher", teacher), "it was done before the signal came")
    check(os.path.exists(f"{folder}/parts.h5.partial") and not os.path.exists(f"{folder}/parts.h5"), os.listdir(folder))
    refused(run(*parts, "--teacher", teacher, "--temperature", 3, expect=2), "temperature was 2.0, is 3.0", "--resume no")
    refused(run(*parts, "--teacher", model, expect=2), "inputs.teacher was")
    stop(*parts, "--teacher", teacher)
    result = run(*parts, "--teacher", teacher, "--progress", "none", "-f")
    check(digest(result) == whole, "another digest than that of one run")
    check(not os.path.exists(f"{folder}/parts.h5.partial"), "the state is still there")


if __name__ == "__main__":
    main(__name__)
