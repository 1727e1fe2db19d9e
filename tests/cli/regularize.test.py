"""ds-train with regularizers and initialisers: what they are called, what they leave behind, and what does not go together."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402

QUICK = ["--data", "digits", "--epochs", 1, "--threads", 1, "--format", "json", "--quiet", "--reproducible"]
CNN = [*QUICK, "--model", "cnn", "--model.width", 4]
RESNET = [*QUICK, "--model", "resnet18", "--model.width", 4, "--model.stem", "cifar"]


def digest(result):
    return next(output["digest"] for output in result.record["outputs"] if output["name"] == "model")


def test_many_at_once_and_resumed(folder):
    """The state of averages, penalties and singular vectors goes through the file."""
    options = [*CNN[:2], "--epochs", 3, *CNN[4:], "--mixup", 0.2, "--cutmix", 1, "--reprob", 0.2, "--model-ema", "--model-ema-decay", 0.99, "--sam", 0.05,
               "--regularize.l1", 1e-5, "--regularize.l2", 1e-4, "--regularize.spectral_norm", 1, "--regularize.spatial_dropout", 0.1,
               "--regularize.gradient_noise", 1e-5, "--augment", "rand-augment:1:5", "--clip-grad", 5]
    whole = run("ds-train", *options, "--run-dir", f"{folder}/whole")
    check(whole.record["metrics"]["val_top1"] > 0.2, whole.record["metrics"])
    again = run("ds-train", *options, "--run-dir", f"{folder}/again")
    last = lambda result: next(output["digest"] for output in result.record["outputs"] if output["name"] == "last")
    check(last(whole) == last(again), "the same command gives another net")
    finished = run("ds-train", *options, "--run-dir", f"{folder}/again", "--resume", "auto")
    check(last(finished) == last(whole), "a finished run changed")


def test_nets_stay_plain(folder):
    """Nodes of dropout that were put in are nothing to the tools that come after."""
    run("ds-train", *RESNET, "--drop-path", 0.2, "--regularize.spatial_dropout", 0.1, "-o", f"{folder}/a.h5")
    run("ds-quantize", f"{folder}/a.h5", "-o", f"{folder}/b.h5", "--threads", 1, "-q")
    run("ds-prune", f"{folder}/a.h5", "--ratio", 0.25, "--finetune-epochs", 0, "-o", f"{folder}/c.h5", "--threads", 1, "-q")
    run("ds-train", *QUICK, "--init", f"{folder}/b.h5", "--sam", 0.05, "--mixup", 0.2, "--regularize.spectral_norm", 1, "--model-ema", "-o", f"{folder}/d.h5")
    check(os.path.exists(f"{folder}/b.h5") and os.path.exists(f"{folder}/c.h5"), os.listdir(folder))


def test_early_stopping(folder):
    result = run("ds-train", "--data", "digits", "--epochs", 9, *CNN[4:], "--early-stop", 2, "--regularize.early_stop_min_delta", 10,
                 "--run-dir", f"{folder}/run")
    lines = open(f"{folder}/run/metrics.csv", encoding="utf-8").read().splitlines()
    check(len(lines) == 1 + 3, lines)
    check(result.record["metrics"]["epoch"] == 3, result.record["metrics"])


def test_initialisers(folder):
    plain = run("ds-train", *RESNET, "-o", f"{folder}/plain.h5")
    seen = {digest(plain)}
    for weights in ("kaiming-normal", "xavier-uniform", "orthogonal", "truncated-normal"):
        seen.add(digest(run("ds-train", *CNN, "--init-weights", weights, "-o", f"{folder}/{weights}.h5")))
    seen.add(digest(run("ds-train", *RESNET, "--zero-init-last", "-o", f"{folder}/zero.h5")))
    check(len(seen) == 6, seen)
    refused(run("ds-train", *QUICK, "--model", "mlp", "--zero-init-last", expect=2), "no residual branch of the model ends in a norm")
    refused(run("ds-train", *QUICK, "--init", f"{folder}/plain.h5", "--init-weights", "orthogonal", expect=2), "is for a fresh net, and contradicts --init")


def test_what_does_not_go_together(folder):
    mlp = [*QUICK, "--model", "mlp"]
    table = os.path.join(folder, "table.csv")
    with open(table, "w", encoding="utf-8") as file:
        file.write("a,b,kind\n" + "".join(f"{i % 7},{i % 5},{'xy'[i % 2]}\n" for i in range(200)))
    refused(run("ds-train", *mlp, "--model-ema", "--swa", 1, expect=2), "regularize.weight_ema", "are both set")
    refused(run("ds-train", *mlp, "--swa", 2, expect=2), "regularize.swa", "begins in epoch 2, the run ends after 1")
    refused(run("ds-train", *mlp, "--drop-path", 0.1, expect=2), "regularize.drop_path", "no residual blocks")
    refused(run("ds-train", *mlp, "--regularize.spatial_dropout", 0.1, expect=2), "regularize.spatial_dropout")
    refused(run("ds-train", *mlp, "--dropout", 0, "--regularize.r_drop", 1, expect=2), "regularize.r_drop", "no dropout")
    refused(run("ds-train", "--data", f"csv:{table}?target=kind", *mlp[2:], "--cutmix", 1, expect=2), "regularize.cutmix", "rows of a table")
    refused(run("ds-train", "--data", "synthetic:kind=tokens", *QUICK[2:], "--model", "lstm", "--mixup", 1, expect=2), "regularize.mixup")
    refused(run("ds-train", *mlp, "--augment", "flip:2", expect=2), "data.augment", "flip: probability")


if __name__ == "__main__":
    main(__name__)
