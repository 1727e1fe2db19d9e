"""ds-quantize: what becomes int8 and how well, observers, layers that stay float, the gate, equal bytes, and bad options."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402
from lab import SMALL, digest, inspect, quantized, rows, tensors, trained  # noqa: E402


def quantize(folder, *options, source=None, name="out", **more):
    return run("ds-quantize", source or trained("cnn"), *options, *SMALL, "-o", f"{folder}/{name}.h5", **more)


def test_weights_and_record(folder):
    """Codes are the nearest multiples of max |w| / 127 a channel; BatchNorm is folded; the record tells sizes, errors and accuracy."""
    result = quantize(folder, source=trained("mlp"))
    before, after = tensors(trained("mlp")), tensors(f"{folder}/out.h5")
    for name in [name for name, t in before.items() if len(t[1]) == 2]:
        check(after[name][0] == "int8" and after[f"{name}_scale"][0] == "float32" and after[name.replace("weight", "bias")][0] == "int32", name)
        error = signal = 0
        for weights, codes, scale in zip(rows(before[name]), rows(after[name]), after[f"{name}_scale"][2]):
            check(abs(scale - max(map(abs, weights)) / 127) < 1e-6 * scale, scale, weights)
            check(all(abs(code) <= 127 and abs(w / scale - code) <= 0.5 + 1e-4 for w, code in zip(weights, codes)), weights, codes)
            error += sum((w - scale * code) ** 2 for w, code in zip(weights, codes))
            signal += sum(w * w for w in weights)
        row = next(row for row in result.record["layers"] if row["tensor"] == name)
        count = len(before[name][2])
        check(row["bytes_before"] == 4 * count and row["bytes_after"] == count + 4 * before[name][1][0], row)
        check(abs(row["mse"] * count - error) < 1e-3 * error, row, error / count)
        check(abs(10 ** (row["sqnr_db"] / 10) - signal / error) < 1e-2 * signal / error, row)
    metrics = result.record["metrics"]
    check(metrics["val_top1"] > metrics["before_val_top1"] - 0.05, metrics)
    check(metrics["tensor_bytes"] < 0.3 * result.record["before"]["tensor_bytes"], metrics, result.record["before"])
    check(not any("running" in name for name in tensors(quantized("cnn"))), "BatchNorm is folded")
    own = run("ds-eval", f"{folder}/out.h5", "--split", "val", *SMALL).record["metrics"]
    check(own["val_top1"] == metrics["val_top1"], own)


def test_observers_and_samples(folder):
    found = {}
    for observer in ("min-max", "percentile", "histogram"):
        result = quantize(folder, "--observer", observer, name=observer)
        check(result.record["metrics"]["val_top1"] > result.record["metrics"]["before_val_top1"] - 0.1, observer, result.record["metrics"])
        found[observer] = digest(result)
    check(len(set(found.values())) == 3, "observers choose different ranges:", found)
    check(digest(quantize(folder, name="default")) == found["histogram"], "histogram is the default")
    few = quantize(folder, "--observer", "min-max", "--samples", 8, "--batch-size", 8, name="few")
    check(digest(few) != found["min-max"], "fewer samples see a smaller range")
    refused(quantize(folder, "--observer", "min_mx", expect=2), "--observer", "min-max")


def test_layers_that_stay_float(folder):
    result = quantize(folder, "--skip", "conv1", "--skip", "fc")
    after = tensors(f"{folder}/out.h5")
    check(after["conv1.weight"][0] == "float32" and after["fc.weight"][0] == "float32" and after["conv2.weight"][0] == "int8", after.keys())
    check({row["tensor"] for row in result.record["layers"]} == {f"conv{i}.weight" for i in (2, 3, 4, 5)}, result.record["layers"])
    check(after["fc.weight"] == tensors(trained("cnn"))["fc.weight"], "a float layer keeps its weights")
    run("ds-eval", f"{folder}/out.h5", *SMALL)
    refused(quantize(folder, "--skip", "conv9", name="none", expect=2), "--skip", "conv9")


def test_the_gate(folder):
    """Half of the values within the range: the net is ruined, the gate holds, and nothing is written unless that is asked for."""
    spoiled = ["--observer", "percentile", "--observer.quantile", 0.5]
    free = quantize(folder, *spoiled, name="free").record["metrics"]
    check(free["val_top1"] < free["before_val_top1"] - 0.1, "was not spoiled:", free)
    for most in (0, 0.05):
        gate = quantize(folder, "--max-drop", most, *spoiled, expect=5)
        refused(gate, "--max-drop", f"falls by {free['before_val_top1'] - free['val_top1']:.4f}, at most {most} was asked for")
        check(gate.record["status"] == "failed" and gate.record["metrics"]["val_top1"] == free["val_top1"] and "outputs" not in gate.record, gate.out)
    check(os.listdir(folder) == ["free.h5"], "an output in spite of the gate:", os.listdir(folder))
    kept = quantize(folder, "--max-drop", 0.05, "--keep-best", *spoiled, expect=5)
    refused(kept, "--max-drop")
    check(kept.record["status"] == "failed" and kept.record["outputs"][0]["path"] == os.path.realpath(f"{folder}/out.h5"), kept.out)
    check(digest(kept) == inspect(f"{folder}/out.h5")["inputs"][0]["digest"], "the file is there")
    check(quantize(folder, "--max-drop", 0.05, name="good").record["status"] == "done", "met")
    no_val = "synthetic:shape=1x8x8,classes=10,train=64,val=0,test=20"
    refused(quantize(folder, "--data", no_val, "--max-drop", 0.1, name="none", expect=2), "--max-drop", "no validation split")


def test_a_dry_run_writes_nothing(folder):
    dry, real = quantize(folder, "-n"), quantize(folder, name="real")
    check(os.listdir(folder) == ["real.h5"] and "outputs" not in dry.record, os.listdir(folder))
    check(dry.record["layers"] == real.record["layers"], dry.out)
    check(all(dry.record["metrics"][key] == real.record["metrics"][key] for key in ("parameters", "macs", "tensor_bytes")), dry.out)


def test_equal_bytes(folder):
    for name in "ab":
        os.mkdir(f"{folder}/{name}")
        run("ds-quantize", trained("cnn"), "--reproducible", *SMALL, "-o", "out.h5", cwd=f"{folder}/{name}")
    check(open(f"{folder}/a/out.h5", "rb").read() == open(f"{folder}/b/out.h5", "rb").read(), "the bytes differ")
    two = run("ds-quantize", trained("cnn"), "--reproducible", "--threads", 2, "--format", "json", "-o", f"{folder}/two.h5")
    check(digest(two) == inspect(f"{folder}/a/out.h5")["inputs"][0]["digest"], "the number of threads changes the model")


def test_config_file_and_other_data(folder):
    open(f"{folder}/c.yaml", "w").write("observer: {name: min-max}\nsamples: 64\nskip: [conv1]\n")
    by_file = quantize(folder, "-c", f"{folder}/c.yaml", name="a")
    by_flags = quantize(folder, "--observer", "min-max", "--samples", 64, "--skip", "conv1", name="b")
    check(digest(by_file) == digest(by_flags), by_file.out)
    noise = quantize(folder, "--data", "synthetic:shape=1x8x8,classes=10,train=64,val=20,test=20", name="noise")
    check(noise.record["metrics"]["val_n"] == 20, noise.record["metrics"])
    refused(quantize(folder, "--data", "mnist5k", name="none", expect=3), "1x28x28")


def test_an_int8_model_anew(folder):
    record = quantize(folder, "--observer", "min-max", source=quantized("cnn"), name="again").record
    check(abs(record["metrics"]["val_top1"] - record["metrics"]["before_val_top1"]) < 0.03, record["metrics"])
    check(all(row["from"] == row["to"] == "int8" for row in record["layers"]), record["layers"])
    check(record["metrics"]["tensor_bytes"] == record["before"]["tensor_bytes"], record)


def test_usage(folder):
    for flag, value in (("--bits", 4), ("--method", "dynamic"), ("--samples", 0), ("--batch-size", 0), ("--max-drop", 2)):
        refused(quantize(folder, flag, value, expect=2), flag, f"{value}")
    refused(run("ds-quantize", trained("cnn"), expect=2), "is required")
    check(os.listdir(folder) == [], os.listdir(folder))


if __name__ == "__main__":
    main(__name__)
