"""What each tool may look at: the test split is for ds-eval, ds-bench and a run's last line; a model keeps its own preprocessing."""
import json
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]


def write_split(folder, prefix, count, seed, labels_of=lambda label: label):
    """8x8 images of four classes: stripes across or down, dim or bright, with noise."""
    source = random.Random(seed)
    images, labels = bytearray(), bytearray()
    for i in range(count):
        label = i % 4
        labels.append(labels_of(label))
        for y in range(8):
            for x in range(8):
                stripe = (y if label % 2 else x) % 2
                images.append(stripe * (90 if label < 2 else 200) + source.randrange(0, 50))
    with open(f"{folder}/{prefix}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, count, 8, 8) + images)
    with open(f"{folder}/{prefix}-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">II", 0x801, count) + labels)


def make_data(folder, name, test_seed=3, labels_of=lambda label: label, document=None):
    path = f"{folder}/{name}"
    os.mkdir(path)
    write_split(path, "train", 160, 1)
    write_split(path, "val", 40, 2)
    write_split(path, "t10k", 40, test_seed, labels_of)
    if document:
        json.dump(document, open(f"{path}/dataset.json", "w"))
    return f"idx:{path}"


def digest(result):
    return next(output["digest"] for output in result.record["outputs"])


def chain(folder, name, data):
    """The digests of a net that is trained, pruned, distilled and quantized on `data`, and the first net's record."""
    path = {step: f"{folder}/{name}-{step}.h5" for step in "tpdq"}
    train = run("ds-train", "--data", data, "--model", "cnn", "--model.width", 4, "--epochs", 3, "--batch-size", 16, "--keep", "best", "--augment", "flip",
                "--run-dir", f"{folder}/{name}-run", *SMALL, "-o", path["t"])
    steps = [train,
             run("ds-prune", path["t"], "--ratio", 0.25, "--finetune-epochs", 1, *SMALL, "-o", path["p"]),
             run("ds-distill", path["p"], "--teacher", path["t"], "--epochs", 1, *SMALL, "-o", path["d"]),
             run("ds-quantize", path["d"], *SMALL, "-o", path["q"])]
    kept = [run("ds-convert", f"{folder}/{name}-run/{file}.h5", "--inspect", "--format", "json").record["inputs"][0]["digest"] for file in ("best", "last")]
    return [digest(step) for step in steps] + kept, train.record


def test_no_choice_depends_on_the_test_split(folder):
    one = make_data(folder, "one")
    other = make_data(folder, "other", test_seed=99, labels_of=lambda label: 3 - label)  # what is right on `one` is wrong here
    first, record = chain(folder, "a", one)
    second, upset = chain(folder, "b", other)
    check(record["metrics"]["test_top1"] > 0.5 > upset["metrics"]["test_top1"], "the splits are not unlike enough to tell")
    check(first == second, "weights follow the test split:", first, second)
    rows = [[line.split(",")[:7] for line in open(f"{folder}/{name}-run/metrics.csv")] for name in "ab"]
    check(rows[0] == rows[1], rows)


def test_a_model_keeps_its_own_preprocessing(folder):
    plain = make_data(folder, "plain")
    other = make_data(folder, "other", document={"mean": [0.9], "std": [0.1]})
    model = f"{folder}/a.h5"
    run("ds-train", "--data", plain, "--model", "cnn", "--model.width", 4, "--epochs", 2, *SMALL, "-o", model)

    def metrics(data):
        record = run("ds-eval", model, "--data", data, *SMALL).record["metrics"]
        return {key: value for key, value in record.items() if key.startswith("test_")}

    check(metrics(plain) == metrics(other), "evaluation took the data's preprocessing:", metrics(plain), metrics(other))
    calls = {"quantize": ["ds-quantize", model], "prune": ["ds-prune", model, "--ratio", 0.25, "--finetune-epochs", 1],
             "distill": ["ds-distill", model, "--teacher", model, "--epochs", 1]}
    for name, call in calls.items():
        outputs = [digest(run(*call, "--data", data, *SMALL, "-o", f"{folder}/{name}{i}.h5")) for i, data in enumerate((plain, other))]
        check(outputs[0] == outputs[1], name, "took the data's preprocessing")


if __name__ == "__main__":
    main(__name__)
