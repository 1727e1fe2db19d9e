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


def resumes(folder, call, other, said):
    """`call` stopped and resumed gives the digest of one run; the state is no state of the command with `other` added."""
    whole = digest(run(*call, *SMALL, "--progress", "none", "-o", f"{folder}/whole.h5", "-f"))
    parts = [*call, *SMALL, "-o", f"{folder}/parts.h5", "--resume", "auto"]
    check(stop(*parts), "it was done before the signal came")
    check(os.path.exists(f"{folder}/parts.h5.partial") and not os.path.exists(f"{folder}/parts.h5"), os.listdir(folder))
    refused(run(*parts, *other, expect=2), said, "--resume no")
    for _ in range(2):  # stopped once more, then to the end
        if not stop(*parts):
            break
    result = run(*parts, "--progress", "none", "-f")
    check(digest(result) == whole, "another digest than that of one run")
    os.remove(f"{folder}/parts.h5")


def test_stopped_and_resumed(folder):
    model, teacher = f"{folder}/model.h5", f"{folder}/teacher.h5"
    run("ds-train", *SHAPE, "--epochs", 1, *SMALL, "--progress", "none", "-o", model)
    run("ds-train", *SHAPE, "--epochs", 2, *SMALL, "--progress", "none", "-o", teacher)
    run("ds-quantize", model, *SMALL, "--progress", "none", "-o", f"{folder}/int8.h5")
    prune = ["ds-prune", model, "--ratio", 0.25, "--finetune-epochs", EPOCHS, "--augment", "affine"]
    resumes(folder, prune, ["--augment", "crop"], "augmentation.names was")
    # A student in int8 is trained as a net with fake-quantization: that one's state is saved.
    distill = ["ds-distill", f"{folder}/int8.h5", "--epochs", EPOCHS, "--teacher"]
    resumes(folder, [*distill, teacher], ["--temperature", 3], "temperature was 2.0, is 3.0")
    check(stop(*distill, teacher, *SMALL, "-o", f"{folder}/other.h5", "--resume", "auto"), "it was done before the signal came")
    refused(run(*distill, model, *SMALL, "-o", f"{folder}/other.h5", "--resume", "auto", expect=2), "inputs.teacher was")


if __name__ == "__main__":
    main(__name__)
