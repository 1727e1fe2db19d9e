"""ds-prune: what is removed by each option, what stays as it was, BatchNorm's statistics, fine-tuning, int8, and bad options."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run, start, wait_for  # noqa: E402
from lab import SMALL, digest, inspect, places, quantized, rows, tensors, trained  # noqa: E402


def prune(folder, source, *options, name="out", **more):
    return run("ds-prune", source, *options, *SMALL, "-o", f"{folder}/{name}.h5", **more)


def kept(result):
    return [layer["kept"] for layer in result.record["pruning"]["layers"]]


def channels(result):
    return [layer["channels"] for layer in result.record["pruning"]["layers"]]


def test_half_of_each_layer(folder):
    result = prune(folder, trained("cnn"))
    check(channels(result) == [8, 8, 16, 16, 16] and kept(result) == [4, 4, 8, 8, 8], result.record["pruning"])
    check({entry["reason"] for entry in result.record["pruning"]["frozen"]} == {"graph input", "graph output"}, result.record["pruning"])
    metrics, before = result.record["metrics"], result.record["before"]
    # conv 3x3 without bias, norm with 4 numbers a channel of which 2 are trained, a linear layer
    sizes = {False: (1, 8, 8, 16, 16, 16), True: (1, 4, 4, 8, 8, 8)}
    for half, figures in ((False, before), (True, metrics)):
        c = sizes[half]
        weights = sum(9 * a * b + 2 * b for a, b in zip(c, c[1:])) + 10 * c[5] + 10
        check(figures["parameters"] == weights and figures["tensor_bytes"] == 4 * (weights + 2 * sum(c[1:])), figures, weights)
        macs = sum(9 * a * b * side * side for a, b, side in zip(c, c[1:], (8, 4, 4, 2, 2))) + 10 * c[5]
        check(figures["macs"] == macs, figures, macs)
    after = inspect(f"{folder}/out.h5")
    check(after["metrics"]["tensor_bytes"] == metrics["tensor_bytes"] and after["metrics"]["macs"] == metrics["macs"], after["metrics"])
    for key in ("before_val_top1", "cut_val_top1", "val_top1", "val_loss", "val_n"):
        check(key in metrics, key, metrics)
    check(metrics["cut_val_top1"] == metrics["val_top1"], "nothing was fine-tuned:", metrics)
    own = run("ds-eval", f"{folder}/out.h5", "--split", "val", *SMALL).record["metrics"]
    check(own["val_top1"] == metrics["val_top1"], own)
    parent = run("ds-eval", trained("cnn"), "--split", "val", *SMALL).record["metrics"]
    check(parent["val_top1"] == metrics["before_val_top1"], parent)


def test_the_rest_is_what_it_was(folder):
    prune(folder, trained("mlp"), "--ratio", 0.25)
    before, after = tensors(trained("mlp")), tensors(f"{folder}/out.h5")
    hidden = next(name for name, (_, shape, _) in before.items() if len(shape) == 2 and shape[0] == 16)
    last = next(name for name, (_, shape, _) in before.items() if len(shape) == 2 and shape[0] == 10)
    stay = places(rows(after[hidden]), rows(before[hidden]))
    check(len(stay) == 12, stay)
    cut = [tuple(row[i] for i in stay) for row in rows(before[last])]
    check(rows(after[last]) == cut, "the consumer loses the same columns, in the same order")
    bias, last_bias = hidden.replace("weight", "bias"), last.replace("weight", "bias")
    check(after[bias][2] == [before[bias][2][i] for i in stay] and after[last_bias] == before[last_bias], "biases")
    # group-l2: those with the smallest norm of all that goes with them went.
    score = [sum(x * x for x in row) + before[bias][2][i] ** 2 + sum(out[i] ** 2 for out in rows(before[last])) for i, row in enumerate(rows(before[hidden]))]
    gone = set(range(16)) - set(stay)
    check(max(score[i] for i in gone) < min(score[i] for i in stay), score, stay)


def test_scopes(folder):
    everything = sum(channels(prune(folder, trained("cnn"), "-n")))
    result = prune(folder, trained("cnn"), "--scope", "global", "--ratio", 0.4)
    check(sum(kept(result)) == everything - int(0.4 * everything), kept(result))
    check(min(kept(result)) >= 1 and kept(result) != [5, 5, 10, 10, 10], "layers are ranked together:", kept(result))
    local = prune(folder, trained("cnn"), "--scope", "local", "--ratio", 0.4, name="local")
    check(kept(local) == [5, 5, 10, 10, 10], "floor(0.4 * 8) = 3 and floor(0.4 * 16) = 6 of each go:", kept(local))
    raw = prune(folder, trained("cnn"), "--scope", "global", "--ratio", 0.4, "--no-prune.criterion.normalize", name="raw")
    check(sum(kept(raw)) == sum(kept(result)) and kept(raw) != kept(result), "the mean of a layer counts:", kept(raw))


def test_limits(folder):
    check(kept(prune(folder, trained("cnn"), "--ratio", 0.9, "--min-channels", 3, "-n")) == [3, 3, 3, 3, 3], "at least 3")
    check(kept(prune(folder, trained("cnn"), "--ratio", 0.99, "-n")) == [1, 1, 1, 1, 1], "no layer is emptied")
    check(kept(prune(folder, trained("cnn"), "--ratio", 0.99, "--scope", "global", "-n")) == [1, 1, 1, 1, 1], "nor by all layers together")
    check(kept(prune(folder, trained("cnn"), "--ratio", 0.7, "--round-to", 4, "-n")) == [4, 4, 8, 8, 8], "multiples of 4")
    scoped = kept(prune(folder, trained("cnn"), "--ratio", 0.5, "--scope", "global", "--round-to", 4, "-n"))
    check(all(n % 4 == 0 for n in scoped), scoped)
    check(kept(prune(folder, trained("cnn"), "--ratio", 0, "-n")) == [8, 8, 16, 16, 16], "a ratio of 0 removes nothing")


def test_target_macs(folder):
    for ratio in (0.3, 0.6):
        result = prune(folder, trained("cnn"), "--target", "macs", "--ratio", ratio, "--scope", "global", name=f"m{ratio}")
        share = result.record["metrics"]["macs"] / result.record["before"]["macs"]
        check(1 - ratio - 0.1 < share <= 1 - ratio, ratio, share)


def test_target_heads(folder):
    result = prune(folder, trained("vit"), "--target", "heads", "--ratio", 0.34)
    sizes = [(layer["channels"], layer["kept"]) for layer in result.record["pruning"]["layers"] if layer["kept"] < layer["channels"]]
    check(sizes == [(3, 2), (3, 2)], "one of the three heads of each layer:", result.record["pruning"]["layers"])
    run("ds-eval", f"{folder}/out.h5", *SMALL)
    refused(prune(folder, trained("cnn"), "--target", "heads", name="none", expect=2), "--target heads", "no attention heads that may go")


def test_criteria_and_seeds(folder):
    results = {}
    for name, options in {"l2": [], "l2 other seed": ["--seed", 7], "r1": ["--criterion", "random", "--seed", 1], "r1 again": ["--criterion", "random", "--seed", 1],
                          "r2": ["--criterion", "random", "--seed", 2]}.items():
        prune(folder, trained("cnn"), "--statistics-batches", 0, *options, name=name)
        results[name] = tensors(f"{folder}/{name}.h5")
    check(results["r1"] == results["r1 again"], "the same seed draws the same channels")
    check(results["r1"] != results["r2"] and results["r1"] != results["l2"], "another seed draws others")
    check(results["l2"] == results["l2 other seed"], "norms need no seed")
    refused(prune(folder, trained("cnn"), "--criterion", "l2", name="none", expect=2), "l2")
    refused(prune(folder, trained("cnn"), "--criterion", "random", "--no-prune.criterion.normalize", name="none", expect=2), "normalize", "group-l2")


def statistics(path):
    return {name: t[2] for name, t in tensors(path).items() if name.endswith(("running_mean", "running_var"))}


def apart(a, b):
    return max(abs(x - y) / (abs(x) + abs(y) + 1e-3) for name in a for x, y in zip(a[name], b[name]))


def test_statistics_are_estimated_anew(folder):
    before = tensors(trained("cnn"))
    prune(folder, trained("cnn"), "--statistics-batches", 0, name="left")
    left = tensors(f"{folder}/left.h5")
    for name in statistics(f"{folder}/left.h5"):
        places(left[name][2], before[name][2])  # none was touched
    # One batch of all training samples: the same whenever it is made, if nothing of the old values is left.
    whole = ["--statistics-batches", 1, "--batch-size", 100000]
    prune(folder, trained("cnn"), *whole, name="anew")
    prune(folder, f"{folder}/anew.h5", "--ratio", 0, *whole, name="again")
    left, anew, again = (statistics(f"{folder}/{name}.h5") for name in ("left", "anew", "again"))
    check(apart(anew, again) < 1e-3, "something of the old statistics is left:", apart(anew, again))
    check(apart(left, anew) > 0.1, "they changed:", apart(left, anew))
    prune(folder, trained("cnn"), "--statistics-batches", 40, name="many")
    check(apart(statistics(f"{folder}/many.h5"), anew) < 0.3 * apart(left, anew), "many small batches come near one of all samples")
    weights = {name: t for name, t in tensors(f"{folder}/anew.h5").items() if "running" not in name}
    check(weights == {name: t for name, t in tensors(f"{folder}/left.h5").items() if "running" not in name}, "the weights are the same")


def test_fine_tuning(folder):
    result = prune(folder, trained("cnn"), "--finetune-epochs", 3, "--lr", 0.01)
    metrics = result.record["metrics"]
    check(metrics["val_top1"] > metrics["cut_val_top1"], metrics)
    history = inspect(f"{folder}/out.h5")["history"]
    check(history["epochs"] == 3, history)
    check("fine-tune 3/3" in run("ds-prune", trained("cnn"), "--finetune-epochs", 3, "-f", "-o", f"{folder}/out.h5", "--threads", 1).err, "progress is told")


def test_a_dry_run_writes_nothing_and_tells_the_sizes(folder):
    dry, real = prune(folder, trained("cnn"), "-n", "--finetune-epochs", 1), prune(folder, trained("cnn"), name="real")
    check(os.listdir(folder) == ["real.h5"] and "outputs" not in dry.record, os.listdir(folder))
    check(dry.record["pruning"] == real.record["pruning"] and dry.record["before"] == real.record["before"], dry.out)
    check(all(dry.record["metrics"][key] == real.record["metrics"][key] for key in ("parameters", "macs", "tensor_bytes")), dry.out)


def test_config_files_say_the_same_as_flags(folder):
    open(f"{folder}/c.yaml", "w").write("prune: {ratio: 0.25, scope: global, min_channels: 2}\nstatistics_batches: 3\ntrain: {epochs: 0}\n")
    by_file = prune(folder, trained("cnn"), "-c", f"{folder}/c.yaml", name="a")
    by_flags = prune(folder, trained("cnn"), "--ratio", 0.25, "--scope", "global", "--min-channels", 2, "--statistics-batches", 3, name="b")
    check(digest(by_file) == digest(by_flags), by_file.out)


def test_equal_bytes(folder):
    for name in "ab":
        os.mkdir(f"{folder}/{name}")
        run("ds-prune", trained("cnn"), "--finetune-epochs", 1, "--augment", "affine", "--reproducible", *SMALL, "-o", "out.h5", cwd=f"{folder}/{name}")
    check(open(f"{folder}/a/out.h5", "rb").read() == open(f"{folder}/b/out.h5", "rb").read(), "the bytes differ")


def test_stopped_and_resumed(folder):
    options = ["--finetune-epochs", 60, "--reproducible"]
    wanted = digest(prune(folder, trained("cnn"), *options, name="whole"))
    process = start("ds-prune", trained("cnn"), *options, "--threads", 1, "--format", "json", "--progress", "plain", "-o", f"{folder}/out.h5")
    while "fine-tune 2/" not in process.stderr.readline():
        check(process.poll() is None, "it ended before it could be stopped")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 75 and "--resume auto" in err, process.returncode, err)
    check(sorted(os.listdir(folder)) == ["out.h5.partial", "whole.h5"], os.listdir(folder))
    check(digest(prune(folder, trained("cnn"), *options, "--resume", "auto")) == wanted, "another digest than that of one run")
    check(sorted(os.listdir(folder)) == ["out.h5", "whole.h5"], os.listdir(folder))


def test_int8_stays_int8(folder):
    result = prune(folder, quantized("cnn"), "--ratio", 0.25)
    before, after = tensors(quantized("cnn")), tensors(f"{folder}/out.h5")
    check(after.keys() == before.keys() and all(after[name][0] == before[name][0] for name in after), "the same tensors of the same types")
    first = places(rows(after["conv1.weight"]), rows(before["conv1.weight"]))
    check(len(first) == 6, first)
    check(after["conv1.weight_scale"][2] == [before["conv1.weight_scale"][2][i] for i in first], "scales")
    check(after["conv1.bias"][2] == [before["conv1.bias"][2][i] for i in first], "biases")
    # conv2 [8,8,3,3]: its inputs are those of conv1's channels that stay.
    columns = [tuple(row[9 * i + k] for i in first for k in range(9)) for row in rows(before["conv2.weight"])]
    second = places(rows(after["conv2.weight"]), columns)
    check(len(second) == 6, "codes are slices of the parent's codes:", second)
    metrics = result.record["metrics"]
    check(metrics["tensor_bytes"] == sum(t["bytes"] for t in inspect(f"{folder}/out.h5")["tensors"]), metrics)
    tuned = prune(folder, quantized("cnn"), "--ratio", 0.25, "--finetune-epochs", 3, name="tuned")
    check({t[0] for t in tensors(f"{folder}/tuned.h5").values()} == {t[0] for t in before.values()}, "int8 after fine-tuning too")
    check(tuned.record["metrics"]["val_top1"] > tuned.record["metrics"]["cut_val_top1"], tuned.record["metrics"])


def test_usage(folder):
    for ratio in (1, 1.5, -0.1, "half"):
        refused(prune(folder, trained("cnn"), "--ratio", ratio, expect=2), "--ratio", str(ratio))
    for flag, value in (("--scope", "some"), ("--target", "weights"), ("--min-channels", 0), ("--round-to", 0), ("--statistics-batches", -1)):
        refused(prune(folder, trained("cnn"), flag, value, expect=2), flag, f"{value}")
    refused(run("ds-prune", trained("cnn"), expect=2), "is required")
    refused(run("ds-prune", "-o", f"{folder}/a.h5", expect=2), "MODEL", "is required")
    refused(run("ds-prune", trained("cnn"), "-o", trained("cnn"), "-f", expect=2), "output is also an input")
    check(os.listdir(folder) == [], os.listdir(folder))


if __name__ == "__main__":
    main(__name__)
