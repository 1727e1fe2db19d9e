"""Nets for texts from the files of other programs: their sizes are taken from the tensors, and what is shown of them."""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import check, fails, main, run

SMALL = ["--set", "model.depth=1", "--set", "model.dim=8", "--set", "model.heads=2", "--set", "model.mlp_dim=12"]


def bert(words, positions, classes, prefix="bert.", dim=8, mlp=12):
    """{name: shape} of BertForSequenceClassification of one layer, as save_pretrained writes it; classes = 0: of BertModel."""
    def dense(name, out, into):
        return {name + ".weight": [out, into], name + ".bias": [out]}

    def norm(name):
        return {name + ".weight": [dim], name + ".bias": [dim]}

    layer = "encoder.layer.0."
    body = {"embeddings.word_embeddings.weight": [words, dim], "embeddings.position_embeddings.weight": [positions, dim],
            "embeddings.token_type_embeddings.weight": [2, dim], **norm("embeddings.LayerNorm"), **dense("pooler.dense", dim, dim),
            **dense(layer + "attention.self.query", dim, dim), **dense(layer + "attention.self.key", dim, dim),
            **dense(layer + "attention.self.value", dim, dim), **dense(layer + "attention.output.dense", dim, dim),
            **norm(layer + "attention.output.LayerNorm"), **dense(layer + "intermediate.dense", mlp, dim), **dense(layer + "output.dense", dim, mlp),
            **norm(layer + "output.LayerNorm")}
    return {**{prefix + name: shape for name, shape in body.items()}, **(dense("classifier", classes, dim) if classes else {})}


def write(path, shapes):
    header, data = {}, b""
    for i, (name, shape) in enumerate(sorted(shapes.items())):
        n = 1
        for size in shape:
            n *= size
        values = struct.pack(f"<{n}f", *(((i * 31 + k * 7) % 101) / 101 - 0.5 for k in range(n)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return path


def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    return {name: data[8 + size:][slice(*entry["data_offsets"])] for name, entry in header.items() if name != "__metadata__"}


def convert(*arguments):
    return run("ds-convert", *arguments, "--format", "json").record


def test_words_positions_and_classes_are_counted_in_the_tensors(folder):
    weights = write(f"{folder}/w.safetensors", bert(words=37, positions=19, classes=3))
    options = convert(weights, "--arch", "bert_tiny", *SMALL, "-o", f"{folder}/m.h5")["model"]["options"]
    check([options[key] for key in ("vocab_size", "max_positions", "num_classes", "head")] == [37, 19, 3, "classification"], options)
    convert(f"{folder}/m.h5", "-o", f"{folder}/b.safetensors")
    check(read(f"{folder}/b.safetensors") == read(weights), "other tensors came back")


def test_an_encoder_of_sentences_has_no_classes(folder):
    weights = write(f"{folder}/w.safetensors", bert(words=41, positions=23, classes=0, prefix=""))
    options = convert(weights, "--arch", "minilm_l6", *SMALL, "-o", f"{folder}/m.h5")["model"]["options"]
    check([options[key] for key in ("vocab_size", "max_positions", "head", "normalize")] == [41, 23, "embedding", True], options)
    convert(f"{folder}/m.h5", "-o", f"{folder}/b.safetensors")
    check(read(f"{folder}/b.safetensors") == read(weights), "other tensors came back")


def test_the_length_that_work_is_counted_for_is_told(folder):
    weights = write(f"{folder}/w.safetensors", bert(words=37, positions=19, classes=3))
    convert(weights, "--arch", "bert_tiny", *SMALL, "-o", f"{folder}/m.h5")
    metrics = convert(f"{folder}/m.h5", "--inspect")["metrics"]
    check(metrics["macs_at"] == {"N": 1, "S": 128}, metrics)
    dim, mlp, length = 8, 12, 128
    layer = length * (4 * dim * dim + 2 * dim * mlp) + 2 * length * length * dim  # linears, and scores and sums of attention
    check(metrics["macs"] == layer + dim * dim + 3 * dim, metrics)  # pooler and classifier


def test_what_is_missing_is_told(folder):
    shapes = bert(words=37, positions=19, classes=3)
    del shapes["bert.embeddings.word_embeddings.weight"]
    weights = write(f"{folder}/w.safetensors", shapes)
    fails(["ds-convert", weights, "--arch", "bert_tiny", *SMALL, "-o", f"{folder}/m.h5"], 3,
          "1 tensor missing: bert.embeddings.word_embeddings.weight", folder=folder)
    weights = write(f"{folder}/w.safetensors", bert(words=37, positions=19, classes=3))
    fails(["ds-convert", weights, "--arch", "bert_tiny", *SMALL, "--set", "model.depth=2", "-o", f"{folder}/m.h5"], 3, "16 tensors missing", folder=folder)
    fails(["ds-convert", weights, "--arch", "bert_tiny", *SMALL, "--set", "model.heads=3", "-o", f"{folder}/m.h5"], 2, "expected a multiple of model.heads (3)",
          folder=folder)


def test_a_net_for_texts_refuses_images_and_the_other_way_round(folder):
    fails(["ds-train", "--data", "digits", "--model", "bert_tiny", "-o", f"{folder}/m.h5"], 2, "'bert_tiny' takes texts, the data are images", folder=folder)
    fails(["ds-train", "--data", "synthetic:kind=tokens,vocab=40,length=12,classes=4,train=8,val=8,test=8", "--model", "resnet18", "-o", f"{folder}/m.h5"], 2,
          "'resnet18' takes images, the data are texts", folder=folder)


def test_data_of_a_larger_vocabulary_are_told(folder):
    weights = write(f"{folder}/w.safetensors", bert(words=37, positions=19, classes=3))
    convert(weights, "--arch", "bert_tiny", *SMALL, "-o", f"{folder}/m.h5")
    data = "synthetic:kind=tokens,vocab={},length={},classes=3,train=8,val=8,test=64"
    run("ds-eval", f"{folder}/m.h5", "--data", data.format(37, 12), "--threads", 1)
    fails(["ds-eval", f"{folder}/m.h5", "--data", data.format(90, 12), "--threads", 1], 3, "knows 37 tokens", "ids up to 89", folder=folder)
    fails(["ds-eval", f"{folder}/m.h5", "--data", data.format(37, 24), "--threads", 1], 3, "24 tokens", "19", folder=folder)


def test_options_are_those_of_texts(folder):
    text = run("ds-train", "--model", "roberta_base", "--help").out
    for name in ("vocab_size", "max_positions", "mlp_dim", "head"):
        check(f"--model.{name}" in text, name, text)
    check("--model.in_channels" not in text, text)


if __name__ == "__main__":
    main(__name__)
