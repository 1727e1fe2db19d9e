"""Tasks beside classes of pictures: numbers, vectors of texts, language; losses, samplers and what of the data's health is told."""
import csv
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import check, main, refused, run  # noqa: E402


def table(path, rows=400):
    """price = 1000 + 50 size - 20 age, in thousands of a unit that a net must not see raw; weight = size / 1000."""
    with open(path, "w") as file:
        file.write("size,age,price,weight\n")
        for i in range(rows):
            size, age = 20 + (37 * i) % 100, (13 * i) % 40
            file.write(f"{size},{age},{1000 + 50 * size - 20 * age},{size / 1000}\n")
    return path


def close(a, b, by=1e-9):
    return abs(a - b) <= by * max(1, abs(a), abs(b))


def regression(folder, *more):
    spec = f"csv:{table(folder + '/t.csv')}?target=price+weight,task=regression"
    path = folder + "/net.h5"
    return path, spec, run("ds-train", "--data", spec, "--model", "mlp", "--epochs", 8, "--batch-size", 32, "-o", path, "--threads", 1, "-q", "--format", "json", *more)


def test_a_regression_end_to_end(folder):
    path, spec, made = regression(folder, "--run-dir", folder + "/run")
    metrics = made.record["metrics"]
    check(metrics["test_r2"] > 0.9 and metrics["test_r2_low"] <= metrics["test_r2"] <= metrics["test_r2_high"], metrics)
    check("best_val_r2" in metrics and not any("top1" in key for key in metrics), metrics)
    rows = list(csv.DictReader(open(folder + "/run/metrics.csv")))
    check(len(rows) == 8 and close(float(rows[-1]["val_r2"]), metrics["val_r2"]) and rows[-1]["val_top1"] == "", rows[-1])
    run("ds-eval", path, "--predictions", folder + "/p.csv", "--min-metric", "r2=0.9", "--max-metric", "rmse=500")
    told = list(csv.DictReader(open(folder + "/p.csv")))
    off = [float(row["price"]) - float(row["price_predicted"]) for row in told]
    result = run("ds-eval", path, "--format", "json").record["metrics"]
    check(close(result["test_r2"], metrics["test_r2"]), result)
    both = (math.sqrt(sum(d * d for d in off) / len(off))
            + math.sqrt(sum((float(r["weight"]) - float(r["weight_predicted"])) ** 2 for r in told) / len(told))) / 2
    check(close(both, result["test_rmse"], 1e-5), both, result["test_rmse"])
    refused(run("ds-eval", path, "--max-metric", "rmse=0.001", expect=5), "rmse is", "at most 0.001")
    with open(folder + "/rows.csv", "w") as file:
        file.write("age,size\n10,70\n")
    line = json.loads(run("ds-predict", path, folder + "/rows.csv").out)
    check(abs(line["values"]["price"] - 4300) < 600 and set(line["values"]) == {"price", "weight"}, line)
    run("ds-quantize", path, "-o", folder + "/int8.h5", "--max-drop", "0.1", "-q")
    check("val_r2" in run("ds-prune", path, "--ratio", "0.2", "--finetune-epochs", 1, "-o", folder + "/small.h5", "-q", "--format", "json").record["metrics"], "no r2")
    refused(run("ds-distill", path, "--teacher", path, "--epochs", 1, "-o", folder + "/d.h5", expect=3), "has no classes")


def test_losses_of_numbers_and_contradictions(folder):
    spec = f"csv:{table(folder + '/t.csv', 100)}?target=price,task=regression"
    for loss in ("l1", "huber"):
        run("ds-train", "--data", spec, "--model", "mlp", "--epochs", 1, "--loss", loss, "--threads", 1, "-q")
    for arguments, said in ((("--data", "digits", "--loss", "mse"), "mse takes numbers"), (("--data", spec, "--loss", "cross-entropy"), "cross-entropy takes classes"),
                            (("--data", spec, "--set", "regularize.mixup=0.2"), "mixup"), (("--data", spec, "--sampler", "weighted"), "no class of a sample"),
                            (("--data", spec, "--sampler", "length"), "no tokens"), (("--data", "digits", "--set", "loss.class_weights=1,2", "--loss", "focal"), "2 numbers, expected 10")):
        result = run("ds-train", *arguments, "--model", "mlp", "--epochs", 1, "-o", folder + "/no.h5", expect=2)
        refused(result, said)
        check("step" not in result.err and not os.path.exists(folder + "/no.h5"), result.err)


def test_bad_data_is_told_with_its_place_before_a_step(folder):
    text = open(table(folder + "/t.csv", 50)).read().splitlines()
    for place, row, said in ((11, "nan,3,5,1", "column 'size' has 'nan'"), (7, "3,4,5", "3 fields, expected 4"), (20, "1,2,inf,3", "column 'price' has 'inf'")):
        with open(folder + "/bad.csv", "w") as file:
            file.write("\n".join(text[:place - 1] + [row] + text[place:]) + "\n")
        refused(run("ds-train", "--data", f"csv:{folder}/bad.csv?target=price,task=regression", "--model", "mlp", expect=3), f"bad.csv:{place}", said)
    refused(run("ds-train", "--data", f"csv:{folder}/t.csv?target=prize,task=regression", "--model", "mlp", expect=2), "no column 'prize'", "did you mean 'price'")
    with open(folder + "/latin.txt", "wb") as file:
        file.write(b"all is well\nna\xefve\n")
    refused(run("ds-train", "--data", f"text:{folder}/latin.txt", "--model", "gpt2", expect=3), "latin.txt", "byte 14", "UTF-8")


def test_losses_of_classes_and_draws_by_weight(folder):
    for loss in ("bce", "focal"):
        top1 = run("ds-train", "--data", "digits", "--model", "mlp", "--epochs", 4, "--loss", loss, "--threads", 1, "-q", "--format", "json").record["metrics"]["test_top1"]
        check(top1 > 0.8, loss, top1)
    with open(folder + "/rare.csv", "w") as file:
        file.write("a,b,kind\n")
        for i in range(1200):
            rare = i % 12 == 0
            file.write(f"{(i * 37) % 101 / 50 + (0.3 if rare else 0)},{(i * 71) % 103 / 50 + (0.3 if rare else 0)},{'rare' if rare else 'usual'}\n")
    spec = f"csv:{folder}/rare.csv?target=kind"
    shared = ("--data", spec, "--model", "mlp", "--epochs", 5, "--threads", 1, "--format", "json", "--batch-size", 32)
    plain = run("ds-train", *shared)
    health = plain.record["data"]["health"]
    check(health["imbalance"] > 10 and health["classes"]["rare"] < 100, health)
    check("data.sampler: weighted" in plain.err and "focal" in plain.err, plain.err)
    for more in (("--sampler", "weighted"), ("--set", "loss.name=cross-entropy", "--set", "loss.class_weights=balanced")):
        better = run("ds-train", *shared, *more)
        check(better.record["metrics"]["test_recall_macro"] > plain.record["metrics"]["test_recall_macro"], more, better.record["metrics"])


def test_twins_and_leaks_are_told(folder):
    os.makedirs(folder + "/d/ham")
    os.makedirs(folder + "/d/spam")
    for part in ("ham", "spam"):
        for split, names in (("train", range(12)), ("val", range(12, 16)), ("test", range(16, 20))):
            os.makedirs(f"{folder}/d/{split}/{part}", exist_ok=True)
            for i in names:
                twin = {("test", 17): 3, ("train", 5): 4}.get((split, i), i)
                open(f"{folder}/d/{split}/{part}/{i}.txt", "w").write(f"{part} number {twin}")
        os.rmdir(f"{folder}/d/{part}")
    result = run("ds-train", "--data", f"text:{folder}/d", "--model", "lstm", "--dry-run", "--format", "json")
    health = result.record["data"]["health"]
    check(health["duplicates"] == 2 and health["leaks"] == {"train_val": 0, "train_test": 2, "val_test": 0} and health["classes"] == {"ham": 12, "spam": 12}, health)
    check("are in train as well" in result.err and "occur more than once" in result.err, result.err)


def words(i):
    return ["red", "green", "blue", "old", "new", "big", "small", "cold"][i % 8] + " " + ["house", "river", "stone", "tree", "road"][i % 5] + f" {i % 7}"


TINY = ("--model", "bert_tiny", "--set", "model.dim=32", "--set", "model.depth=1", "--set", "model.heads=2", "--set", "model.mlp_dim=64")


def test_vectors_of_pairs(folder):
    with open(folder + "/p.csv", "w") as file:
        file.write("a,b,score\n")
        for i in range(280):
            file.write(f"the {words(i)},{words(i).upper().lower()} it is,{1 if i % 2 else 0}\n")
    spec = f"csv:{folder}/p.csv?text=a,pair=b,task=embedding,length=32"
    shared = (*TINY, "--threads", 1, "--format", "json", "-q", "--batch-size", 32, "--epochs", 2)
    made = run("ds-train", "--data", spec, *shared, "--set", "model.head=embedding", "-o", folder + "/e.h5")
    metrics = made.record["metrics"]
    check("test_recall1" in metrics and metrics["val_loss"] > 0 and not any("top1" in key for key in metrics), metrics)
    check(run("ds-eval", folder + "/e.h5", "--format", "json").record["metrics"]["test_recall1"] == metrics["test_recall1"], "another recall")
    scored = run("ds-train", "--data", spec + ",target=score", *shared, "--set", "model.head=embedding")
    check("test_spearman" in scored.record["metrics"], scored.out)
    refused(run("ds-train", "--data", spec, *shared, expect=2), "model.head", "ask for a vector")
    refused(run("ds-train", "--data", spec, *shared, "--set", "model.head=embedding", "--batch-size", 31, expect=2), "31, expected an even number")


def test_batches_of_like_length_resume_as_they_were(folder):
    shared = ("--data", "synthetic:kind=tokens,train=128,val=32,test=32,length=24", *TINY, "--sampler", "length", "--threads", 1, "-q", "--reproducible")
    digests = []
    for name, epochs in (("a", 2), ("b", 2)):
        record = run("ds-train", *shared, "--epochs", epochs, "-o", f"{folder}/{name}.h5", "--format", "json").record
        digests.append(record["outputs"][0]["digest"])
    check(digests[0] == digests[1], digests)


if __name__ == "__main__":
    main(__name__)
