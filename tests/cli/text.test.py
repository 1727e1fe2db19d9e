"""Texts: every tool on a net that takes tokens, from training to prediction; data sets of texts, and those that cannot be read."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from cli import BIN, check, command, fails, main, refused, run  # noqa: E402

SMALL = ["--threads", 1, "--format", "json", "--progress", "none"]
DATA = "synthetic:kind=tokens,vocab=40,length=12,classes=4,train=800,val=80,test=160"
NET = ["--model", "bert_tiny", "--model.dim", 32, "--model.heads", 2, "--model.depth", 1, "--model.mlp_dim", 64, "--model.max_positions", 16, "-b", 16]
made = {}


def net(folder, name="float"):
    """A net that knows the classes of DATA, and what is made of it; the path of one of them."""
    if not made:
        path = {key: f"{folder}/{key}.h5" for key in ("float", "pruned", "distilled", "int8", "pruned8", "again")}
        run("ds-train", *NET, "--data", DATA, "--epochs", 10, *SMALL, "-o", path["float"])
        run("ds-prune", path["float"], "--ratio", 0.25, "--coupled", "--finetune-epochs", 2, *SMALL, "-o", path["pruned"])
        run("ds-distill", path["pruned"], "--teacher", path["float"], "--epochs", 2, *SMALL, "-o", path["distilled"])
        run("ds-quantize", path["distilled"], *SMALL, "-o", path["int8"])
        run("ds-prune", path["int8"], "--ratio", 0.25, *SMALL, "-o", path["pruned8"])
        run("ds-quantize", path["pruned8"], *SMALL, "-o", path["again"])
        made.update({key: open(file, "rb").read() for key, file in path.items()})
    path = f"{folder}/{name}.h5"
    with open(path, "wb") as file:
        file.write(made[name])
    return path


def top1(path, *more):
    return run("ds-eval", path, *more, *SMALL).record["metrics"]["test_top1"]


def test_from_training_to_int8(folder):
    scores = {name: top1(net(folder, name)) for name in ("float", "pruned", "distilled", "int8", "pruned8", "again")}
    check(scores["float"] > 0.9, "did not learn:", scores)
    check(scores["distilled"] > 0.85 and scores["int8"] > scores["distilled"] - 0.03, scores)
    check(scores["again"] > 0.4, "requantized after pruning without training:", scores)
    layers = run("ds-convert", net(folder, "int8"), "--inspect", "--format", "json").record["tensors"]
    check(any(entry["dtype"] == "int8" for entry in layers), layers)
    for name in ("int8", "pruned8", "again"):
        run("ds-convert", "--verify", net(folder, name))


def test_a_distilled_int8_net_stays_int8(folder):
    run("ds-distill", net(folder, "pruned8"), "--teacher", net(folder), "--epochs", 2, *SMALL, "-o", f"{folder}/d.h5")
    run("ds-train", "--init", net(folder, "pruned8"), "--epochs", 2, *SMALL, "-o", f"{folder}/t.h5")
    for path in (f"{folder}/d.h5", f"{folder}/t.h5"):
        dtypes = {entry["dtype"] for entry in run("ds-convert", path, "--inspect", "--format", "json").record["tensors"]}
        check("int8" in dtypes, dtypes)
        check(top1(path) > 0.75, path, top1(path))


def test_checkpoint_knows_its_tokens(folder):
    path = net(folder)
    run("ds-convert", path, "-o", f"{folder}/net.yaml")
    check("input_ids" in open(f"{folder}/net.yaml").read(), "no graph of tokens")
    lines = run("ds-eval", path, "--predictions", f"{folder}/p.csv", *SMALL) and open(f"{folder}/p.csv").read().splitlines()
    check(lines[0] == "id,label,prediction,confidence" and len(lines) == 161 and lines[1].startswith("880,0,"), lines[:2])
    # Bytes of another vocabulary have no rows in the net's table.
    os.makedirs(f"{folder}/set/a")
    os.makedirs(f"{folder}/set/b")
    for i in range(40):
        for name in "ab":
            with open(f"{folder}/set/{name}/{i}.txt", "w") as file:
                file.write(f"w{7 + i % 20} w9 w11")
    record = run("ds-eval", path, "--data", f"text:{folder}/set", *SMALL, expect=3)
    refused(record, "4 classes", "2")


def test_bench(folder):
    record = run("ds-bench", net(folder), net(folder, "int8"), "--rounds", 5, "--warmup", 0, "--min-time", 0, "--batch", "1,4", "--length", "8,16", *SMALL).record
    timings = record["results"][1]["timings"]
    check([(t["batch"], t["length"]) for t in timings] == [(1, 8), (1, 16), (4, 8), (4, 16)], timings)
    check(record["results"][0]["test_top1"] > 0.9, record["results"][0])
    table = run("ds-bench", net(folder), "--rounds", 5, "--warmup", 0, "--min-time", 0, "--batch", 1, "--threads", 1, "--format", "table").out
    check("samples/s" in table and "tokens" not in table, table)
    fails(["ds-bench", net(folder), "--rounds", 5, "--batch", 1, "--length", 99, *SMALL], 3, "16")


def test_report(folder):
    run("ds-report", net(folder), net(folder, "int8"), "-o", f"{folder}/r.html", "--format", "json")
    page = open(f"{folder}/r.html").read()
    check("bert_tiny" in page and "int8.h5" in page, page[:500])


def test_tune(folder):
    with open(f"{folder}/space.yaml", "w") as file:
        file.write("metric: {name: val_top1, goal: maximize}\nparameters: {optim.lr: {type: float, low: 1.0e-3, high: 1.0e-2, log: true}}\n")
    run("ds-tune", "run", "--space", f"{folder}/space.yaml", "--trials", 2, "-o", f"{folder}/study", "--format", "json", "--",
        command("ds-train")[0], "-c", "{config}", *NET, "--data", DATA, "--epochs", 1, "--threads", 1)


def test_language_models(folder):
    for task, head in (("next", "causal-lm"), ("masked", "masked-lm")):
        data = f"synthetic:kind=tokens,task={task},vocab=30,length=12,train=800,val=40,test=80"
        arch = ["--model", "gpt2_tiny", "--model.dim", 32, "--model.heads", 2, "--model.depth", 1, "-b", 16] if head == "causal-lm" else [*NET, "--model.head", head]
        record = run("ds-train", *arch, "--data", data, "--epochs", 10, "--lr", 0.01, *SMALL, "-o", f"{folder}/{task}.h5").record
        metrics = record["metrics"]
        check(metrics["test_perplexity"] < 18, "a random guess has 25:", metrics)
        check(abs(metrics["test_perplexity"] - 2.718281828 ** metrics["test_loss"]) < 1e-3, metrics)
        run("ds-quantize", f"{folder}/{task}.h5", *SMALL, "-o", f"{folder}/{task}8.h5")
        after = run("ds-eval", f"{folder}/{task}8.h5", *SMALL).record["metrics"]
        check(after["test_perplexity"] < 1.1 * metrics["test_perplexity"], after, metrics)


GRAPH = """
inputs: [{name: input_ids, dtype: int64, dims: [N, S]}, {name: attention_mask, dtype: int64, dims: [N, S]}]
nodes:
  - {name: words, op: embedding, inputs: [input_ids], attrs: {num_embeddings: $(vocab_size), dim: 16}}
  - {name: text, op: masked_mean, inputs: [words, attention_mask]}
  - {name: classes, op: linear, attrs: {out_features: $(num_classes)}}
outputs: [{name: logits, value: classes}]
"""


def test_a_net_of_a_file(folder):
    with open(f"{folder}/net.yaml", "w") as file:
        file.write(GRAPH)
    run("ds-train", "--model", "graph", "--model.file", f"{folder}/net.yaml", "--data", DATA, "--epochs", 6, "--lr", 0.03, "-b", 16, *SMALL, "-o", f"{folder}/a.h5")
    check(top1(f"{folder}/a.h5") > 0.9, top1(f"{folder}/a.h5"))
    run("ds-quantize", f"{folder}/a.h5", *SMALL, "-o", f"{folder}/b.h5")
    check(top1(f"{folder}/b.h5") > top1(f"{folder}/a.h5") - 0.03, "int8 lost", top1(f"{folder}/b.h5"))


def test_a_sentence_encoder_is_held_against_what_it_was(folder):
    path = f"{folder}/e.h5"
    subprocess.run([os.path.join(BIN, "run_model"), "make", "minilm_l6", path, "dim=32", "heads=2", "depth=2", "mlp_dim=64",
                    "max_positions=16"], check=True)
    metrics = run("ds-quantize", path, "--data", DATA, *SMALL, "-o", f"{folder}/q.h5").record["metrics"]
    check(0.99 < metrics["val_cosine_least"] <= metrics["val_cosine"] <= 1 and metrics["val_n"] == 80, metrics)
    same = run("ds-prune", path, "--data", DATA, "--ratio", 0, *SMALL, "-o", f"{folder}/same.h5").record["metrics"]
    check(same["val_cosine_least"] > 1 - 1e-6, same)
    cut = run("ds-prune", path, "--data", DATA, "--ratio", 0.5, *SMALL, "-o", f"{folder}/p.h5").record["metrics"]
    check(cut["val_cosine"] < metrics["val_cosine"] and cut["parameters"] < same["parameters"], cut)
    fails(["ds-quantize", path, "--data", DATA, "--max-drop", 1e-7, *SMALL, "-o", f"{folder}/n.h5"], 5, "cosine falls by")
    check(not os.path.exists(f"{folder}/n.h5"), "a gate that was not met left its output")
    for command in (["ds-eval"], ["ds-prune", "--finetune-epochs", 1, "-o", f"{folder}/n.h5"]):
        fails([command[0], path, *command[1:], "--data", DATA, *SMALL], 3, "gives embeddings")


def test_texts_of_a_folder(folder):
    for split, n in (("train", 60), ("val", 10), ("test", 30)):
        for label, words in (("fruit", "apple pear plum fig"), ("metal", "iron zinc tin lead")):
            os.makedirs(f"{folder}/set/{split}/{label}")
            for i in range(n):
                with open(f"{folder}/set/{split}/{label}/{i}.txt", "w") as file:
                    file.write(f"the {words.split()[i % 4]} number {i}\n")
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"the apple pear plum fig iron zinc tin lead number".split()]))
    run("ds-train", *NET, "--data", f"text:{folder}/set?length=12", "--tokenizer", f"{folder}/vocab.txt", "--epochs", 12, *SMALL, "-o", f"{folder}/a.h5")
    check(top1(f"{folder}/a.h5") > 0.95, top1(f"{folder}/a.h5"))
    with open(f"{folder}/t.csv", "w") as file:
        file.write("said,kind\n" + "".join(f"the {word} is {i},{kind}\n" for i in range(60) for word, kind in (("fig", "fruit"), ("tin", "metal"))))
    check(top1(f"{folder}/a.h5", "--data", f"csv:{folder}/t.csv?text=said,target=kind") > 0.95, "another file of the same words")


def test_bad_input(folder):
    os.makedirs(f"{folder}/set/a")
    os.makedirs(f"{folder}/set/b")
    open(f"{folder}/set/a/x.txt", "wb").write(b"fine")
    open(f"{folder}/set/b/y.txt", "wb").write(b"bad \xff")
    fails(["ds-train", *NET, "--data", f"text:{folder}/set", *SMALL], 3, f"{folder}/set/b/y.txt: byte 4 is no UTF-8")
    open(f"{folder}/t.json", "w").write("{")
    fails(["ds-train", *NET, "--data", DATA, "--tokenizer", f"{folder}/t.json", *SMALL], 3, "t.json", "no JSON")
    fails(["ds-train", "--model", "cnn", "--data", DATA, *SMALL], 2, "'cnn' takes images, the data are texts")
    fails(["ds-train", *NET, "--data", "digits", *SMALL], 2, "'bert_tiny' takes texts, the data are images")
    fails(["ds-train", *NET, "--data", DATA, "--augment", "flip", *SMALL], 2, "augmentation 'flip' is for images")
    fails(["ds-train", *NET, "--data", DATA.replace("length=12", "length=20"), *SMALL], 2, "model.max_positions", "16")
    fails(["ds-eval", net(folder), "--data", "digits", *SMALL], 3, "digits")
    fails(["ds-eval", net(folder), "--data", DATA.replace("vocab=40", "vocab=50"), *SMALL], 3, "40 tokens")
    fails(["ds-eval", net(folder), "--data", DATA.replace("vocab=40", "vocab=40,task=token"), *SMALL], 3, "each token")


if __name__ == "__main__":
    main(__name__)
