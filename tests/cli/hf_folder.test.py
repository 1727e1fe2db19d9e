"""ds-convert to and from folders of Hugging Face: a folder becomes a runnable checkpoint with tokenizer and labels, and back; what does not fit."""
import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cli import BIN, SOURCE, check, command, fails, main, run

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "##s", "a"]
D, MLP, POSITIONS = 8, 16, 12
BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": 10, "hidden_size": D, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": MLP, "max_position_embeddings": POSITIONS, "id2label": {"1": "positive", "0": "negative"},
        "use_cache": True, "transformers_version": "4.40.0"}


def convert(*arguments, **more):
    return run("ds-convert", *arguments, "--format", "json", **more).record


def tensors(path):
    return json.loads(subprocess.run([os.path.join(BIN, "dump_tensors"), path], check=True, capture_output=True).stdout)


def payload(path):
    """The bytes of all tensors, in the order of their names."""
    convert(path, "-o", path + ".safetensors", "-f")
    data = open(path + ".safetensors", "rb").read()
    return data[8 + struct.unpack("<Q", data[:8])[0]:]


def encoder(prefix):
    """{name: shape} of BertModel with one layer and without its pooler."""
    e, layer = prefix + "embeddings.", prefix + "encoder.layer.0."
    shapes = {e + "word_embeddings.weight": [10, D], e + "position_embeddings.weight": [POSITIONS, D], e + "token_type_embeddings.weight": [2, D],
              e + "LayerNorm.weight": [D], e + "LayerNorm.bias": [D]}
    for name, out, into in (("attention.self.query", D, D), ("attention.self.key", D, D), ("attention.self.value", D, D),
                            ("attention.output.dense", D, D), ("intermediate.dense", MLP, D), ("output.dense", D, MLP)):
        shapes[layer + name + ".weight"], shapes[layer + name + ".bias"] = [out, into], [out]
    for name in ("attention.output.LayerNorm", "output.LayerNorm"):
        shapes[layer + name + ".weight"] = shapes[layer + name + ".bias"] = [D]
    return shapes


def pooler(prefix):
    return {prefix + "pooler.dense.weight": [D, D], prefix + "pooler.dense.bias": [D]}


def classifier():
    return {**encoder("bert."), **pooler("bert."), "classifier.weight": [2, D], "classifier.bias": [2]}


def numbers(shapes):
    made, seed = {}, 1
    for name, shape in sorted(shapes.items()):
        size = 1
        for dim in shape:
            size *= dim
        made[name] = (shape, [((seed + i) * 7919 % 1000 - 500) / 512 for i in range(size)])
        seed += size
    return made


KINDS = {"F32": "f", "F16": "e", "F64": "d", "I64": "q"}


def write_safetensors(path, held, dtype="F32"):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (shape, values) in held.items():
        kind = "I64" if name.endswith("position_ids") else dtype
        packed = struct.pack(f"<{len(values)}{KINDS[kind]}", *values)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").write(value if isinstance(value, str) else json.dumps(value))


def made(folder, name="hf", shapes=None, dtype="F32", extra=None, words=WORDS, **config):
    """A folder as save_pretrained leaves it."""
    place = os.path.join(folder, name)
    write(os.path.join(place, "config.json"), {key: value for key, value in {**BERT, **config}.items() if value is not None})
    write(os.path.join(place, "vocab.txt"), "\n".join(words) + "\n")
    write(os.path.join(place, "tokenizer_config.json"), {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512})
    write_safetensors(os.path.join(place, "model.safetensors"), {**numbers(classifier() if shapes is None else shapes), **(extra or {})}, dtype)
    return place


def sentences(folder, name="st", modules=("Transformer", "Pooling", "Normalize"), at="", **pooling):
    place = os.path.join(folder, name)
    inner = made(place, at or ".", shapes={**encoder(""), **pooler("")}, architectures=["BertModel"], id2label=None)
    places = {"Transformer": at, "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    write(os.path.join(place, "modules.json"),
          [{"idx": i, "name": str(i), "path": places.get(kind, "3_" + kind), "type": "sentence_transformers.models." + kind} for i, kind in enumerate(modules)])
    write(os.path.join(place, "1_Pooling/config.json"), {"word_embedding_dimension": D, "pooling_mode_mean_tokens": True, **pooling})
    write(os.path.join(inner, "sentence_bert_config.json"), {"max_seq_length": 7, "do_lower_case": False})
    return place


def test_a_classifier_comes_with_labels_and_tokenizer(folder):
    place, model = made(folder, extra={"bert.embeddings.position_ids": ([1, POSITIONS], list(range(POSITIONS)))}), os.path.join(folder, "m.h5")
    record = convert(place + "/", "-o", model)
    check(record["class"] == "BertForSequenceClassification" and record["ignored"] == ["bert.embeddings.position_ids"], record)
    options = record["model"]["options"]
    check({key: options[key] for key in ("head", "dim", "depth", "heads", "mlp_dim", "max_positions", "vocab_size", "num_classes")} ==
          {"head": "classification", "dim": D, "depth": 1, "heads": 2, "mlp_dim": MLP, "max_positions": POSITIONS, "vocab_size": 10, "num_classes": 2}, options)
    check(record["tokenizer"] == {"tokens": 10, "max_length": POSITIONS}, record["tokenizer"])  # the net has no more positions
    check(record["preprocessing"] == {"kind": "text", "inputs": ["input_ids", "attention_mask", "token_type_ids"], "max_length": POSITIONS}, record)
    check(record["verified"]["largest_difference"] == 0 and record["verified"]["tensors"] == len(classifier()), record["verified"])
    held = tensors(model)
    for name, (shape, values) in numbers(classifier()).items():
        check(held[name]["shape"] == shape and held[name]["values"] == values, name)
    seen = convert(model, "--inspect")
    check(seen["labels"] == ["negative", "positive"] and seen["tokenizer"] is True, seen)
    # of another class by config.json: what the file lacks and has too much is told
    write(os.path.join(place, "config.json"), {**BERT, "architectures": ["BertForMaskedLM"]})
    fails(["ds-convert", place, "-o", os.path.join(folder, "other.h5")], 3, "5 tensors missing: cls.predictions.transform.dense.weight,",
          "2 tensors unexpected: classifier.bias, classifier.weight", lines=2, folder=folder)


def test_it_comes_back(folder):
    model, out, back, alone = (os.path.join(folder, name) for name in ("m.h5", "out", "back.h5", "alone.h5"))
    convert(made(folder), "-o", model)
    record = convert(model, "-o", out + "/")
    digest = record["inputs"][0]["digest"]
    check(record["loads_with"] == "transformers" and record["outputs"] == [{"name": "model", "path": out, "digest": digest}], record)
    check(sorted(os.listdir(out)) == ["README.md", "config.json", "ds.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
                                      "tokenizer_config.json"], os.listdir(out))
    config = json.load(open(os.path.join(out, "config.json")))
    same = {key: value for key, value in BERT.items() if key not in ("use_cache", "transformers_version")}
    check({key: config[key] for key in same} == same, config)
    check(config["label2id"] == {"negative": 0, "positive": 1} and config["hidden_act"] == "gelu" and config["pad_token_id"] == 0, config)
    check(json.load(open(os.path.join(out, "special_tokens_map.json")))["mask_token"] == "[MASK]")
    check(json.load(open(os.path.join(out, "tokenizer.json")))["model"]["vocab"] == {word: i for i, word in enumerate(WORDS)})
    check(json.load(open(os.path.join(out, "tokenizer_config.json")))["model_max_length"] == POSITIONS)
    card = open(os.path.join(out, "README.md")).read()
    for part in ("library_name: transformers\n", "pipeline_tag: text-classification\n", "negative, positive", "BertForSequenceClassification", digest,
                 "ds-convert 0.1.0: "):
        check(part in card, part, "in", card)
    record = convert(out, "-o", back)
    check(record["outputs"][0]["digest"] == digest and record["same_model"] is True, record)
    os.remove(os.path.join(out, "ds.json"))  # as another program would have written it
    convert(out, "-o", alone)
    check(tensors(alone) == tensors(model))
    seen, first = convert(alone, "--inspect"), convert(model, "--inspect")
    check(all(seen[key] == first[key] for key in ("labels", "preprocessing", "model")), seen)


def test_an_encoder_of_sentences(folder):
    for name, at, modules in (("root", "", ("Transformer", "Pooling", "Normalize")), ("inner", "0_Transformer", ("Transformer", "Pooling"))):
        model, out, back = (os.path.join(folder, name + end) for end in (".h5", ".out", ".back.h5"))
        record = convert(sentences(folder, name, modules, at) + "/", "-o", model)
        options = record["model"]["options"]
        check(options["head"] == "embedding" and options["pooler"] is False and options["normalize"] is (len(modules) == 3), options)
        check(record["ignored"] == ["pooler.dense.bias", "pooler.dense.weight"] and record["tokenizer"]["max_length"] == 7, record)
        check(convert(model, "-o", out + "/")["loads_with"] == "sentence-transformers")
        check([module["type"].split(".")[-1] for module in json.load(open(os.path.join(out, "modules.json")))] == list(modules))
        check(json.load(open(os.path.join(out, "sentence_bert_config.json")))["max_seq_length"] == 7)
        os.remove(os.path.join(out, "ds.json"))
        record = convert(out, "-o", back)
        check(record["model"]["options"] == options and tensors(back) == tensors(model), record)
    # BertModel without modules: its pooler stays
    record = convert(made(folder, "plain", {**encoder(""), **pooler("")}, architectures=["BertModel"]), "-o", os.path.join(folder, "p.h5"))
    check(record["model"]["options"]["pooler"] is True and "ignored" not in record, record)
    # the encoder in front of another head
    record = convert(sentences(folder, "lm"), "-o", os.path.join(folder, "lm.h5"))
    write_safetensors(os.path.join(folder, "lm/model.safetensors"), numbers({**encoder("bert."), "cls.predictions.bias": [10]}))
    again = convert(os.path.join(folder, "lm"), "-o", os.path.join(folder, "lm2.h5"))
    check(again["ignored"] == ["cls.predictions.bias"] and sorted(tensors(os.path.join(folder, "lm2.h5"))) == sorted(encoder("")), again)


def test_modules_that_are_not_read(folder):
    out = os.path.join(folder, "m.h5")
    bad = lambda place, *parts: fails(["ds-convert", place, "-o", out], 3, *parts, folder=folder)
    bad(sentences(folder, "a", ("Transformer", "Pooling", "Dense")), "modules.json", "module 'sentence_transformers.models.Dense' is none of")
    bad(sentences(folder, "b", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True), "1_Pooling/config.json", "pooling by cls_token")
    bad(sentences(folder, "c", pooling_mode_max_tokens=True), "pooling by max_tokens and mean_tokens")
    bad(sentences(folder, "d", ("Transformer",)), "the modules are Transformer, expected Transformer, Pooling, Normalize")
    place = sentences(folder, "e")
    write(os.path.join(place, "modules.json"), [{"path": "..", "type": "x.Transformer"}])
    bad(place, "lies in '..', expected a folder of this one")


def test_half_precision_is_widened_and_told(folder):
    model = os.path.join(folder, "m.h5")
    for dtype, name, count in (("F16", "float16", len(classifier())), ("F64", "float64", len(classifier()))):
        record = convert(made(folder, name, dtype=dtype), "-o", model, "-f")
        check(record["converted"] == {"from": {name: count}, "to": "float32", "largest_difference": 0}, record["converted"])
        check(tensors(model)["classifier.weight"]["values"] == numbers(classifier())["classifier.weight"][1])
    place = made(folder, "third", dtype="F64")
    held = numbers(classifier())
    held["classifier.bias"] = ([2], [1 / 3, 0.5])
    write_safetensors(os.path.join(place, "model.safetensors"), held, "F64")
    apart = convert(place, "-o", model, "-f")["converted"]["largest_difference"]
    check(apart == abs(1 / 3 - struct.unpack("<f", struct.pack("<f", 1 / 3))[0]), apart)


def test_shards_and_pickles(folder):
    place, model = made(folder), os.path.join(folder, "m.h5")
    convert(place, "-o", model)
    out = os.path.join(folder, "shards")
    convert(model, "-o", out + "/", "--shard-size", "1KB")
    index = json.load(open(os.path.join(out, "model.safetensors.index.json")))
    check(sorted(index["weight_map"]) == sorted(classifier()) and len(set(index["weight_map"].values())) > 2, index)
    check(index["metadata"]["total_size"] == 4 * sum(len(values) for _, values in numbers(classifier()).values()), index["metadata"])
    record = convert(out, "-o", os.path.join(folder, "back.h5"))
    check(record["same_model"] is True and len(record["inputs"]) == len(set(index["weight_map"].values())), record)
    convert(model, "-o", os.path.join(folder, "m.pth"))
    os.remove(os.path.join(place, "model.safetensors"))
    shutil.move(os.path.join(folder, "m.pth"), os.path.join(place, "pytorch_model.bin"))
    convert(place, "-o", os.path.join(folder, "bin.h5"))
    check(tensors(os.path.join(folder, "bin.h5")) == tensors(model))
    shard = os.path.join(out, "model-00002-of-")
    shard = next(os.path.join(out, name) for name in sorted(os.listdir(out)) if os.path.join(out, name).startswith(shard))
    os.remove(shard)
    fails(["ds-convert", out, "-o", os.path.join(folder, "x.h5")], 3, os.path.basename(shard) + ": no such file", folder=folder)
    index["weight_map"]["classifier.bias"] = "../m.safetensors"
    write(os.path.join(out, "model.safetensors.index.json"), index)
    fails(["ds-convert", out, "-o", os.path.join(folder, "x.h5")], 3, "expected a file of this folder", folder=folder)


def test_all_that_does_not_fit_is_told(folder):
    out = os.path.join(folder, "m.h5")
    bad = lambda place, *parts, lines=1: fails(["ds-convert", place, "-o", out], 3, *parts, lines=lines, folder=folder)
    shapes = classifier()
    del shapes["classifier.bias"]
    bad(made(folder, "a", {**shapes, "classifier.weight": [3, D], "extra": [1]}), "1 tensor missing: classifier.bias", "1 tensor unexpected: extra",
        "classifier.weight is float32[3,8], expected float32[2,8]", lines=3)
    bad(made(folder, "b", hidden_act="relu", layer_norm_eps=1e-5, vocab_size=None), "'vocab_size' is not there",
        "'hidden_act' is \"relu\", the net computes \"gelu\"", "'layer_norm_eps' is 1e-05, the net computes 1e-12", lines=3)
    bad(made(folder, "c", model_type="mamba"), "model_type 'mamba' is none that is read: bert, distilbert")
    bad(made(folder, "d", architectures=["BertForQuestionAnswering"]), "class 'BertForQuestionAnswering' of 'architectures' is none that is read: BertModel,")
    bad(made(folder, "e", words=WORDS + ["one", "more"]), "the tokenizer has 12 tokens, the embedding 10 rows")
    bad(made(folder, "f", hidden_size="8"), "dim: expected an integer")
    bad(made(folder, "g", hidden_size=-8), "dim: ")
    bad(made(folder, "h", id2label={"0": "a", "2": "b"}), "'id2label' has 2 labels and none, or no text, for class 1")
    bad(made(folder, "i", quantization_config={"bits": 4}), "quantized by another program")
    bad(made(folder, "j", model_type=None), "has no 'model_type'")
    held = numbers(classifier())
    held["classifier.bias"] = ([2], [0.0, float("nan")])
    place = made(folder, "k")
    write_safetensors(os.path.join(place, "model.safetensors"), held)
    bad(place, "tensor 'classifier.bias': value at index 1 is not finite")
    place = made(folder, "l")
    write(os.path.join(place, "config.json"), '{"model_type": "bert", "model_type": "gpt2"}')
    bad(place, "'model_type' is there twice")
    write(os.path.join(place, "config.json"), '{"model_type": ')
    bad(place, "config.json", "is not JSON")
    os.remove(os.path.join(place, "config.json"))
    bad(place, "is a folder without config.json")
    bad(os.path.join(folder, "none/"), "no such folder")
    place = made(folder, "m")
    os.remove(os.path.join(place, "model.safetensors"))
    bad(place, "has no weights")


def test_tied_weights_have_to_be_the_same(folder):
    shapes = {**encoder("bert."), "cls.predictions.bias": [10], "cls.predictions.transform.dense.weight": [D, D], "cls.predictions.transform.dense.bias": [D],
              "cls.predictions.transform.LayerNorm.gamma": [D], "cls.predictions.transform.LayerNorm.beta": [D], "cls.seq_relationship.weight": [2, D],
              "cls.seq_relationship.bias": [2]}
    words = numbers(shapes)["bert.embeddings.word_embeddings.weight"]
    place = made(folder, "lm", shapes, architectures=["BertForPreTraining"], extra={"cls.predictions.decoder.weight": words})
    record = convert(place, "-o", os.path.join(folder, "m.h5"))
    check(record["ignored"] == ["cls.predictions.decoder.weight", "cls.seq_relationship.bias", "cls.seq_relationship.weight"], record["ignored"])
    check("cls.predictions.transform.LayerNorm.weight" in tensors(os.path.join(folder, "m.h5")))
    place = made(folder, "other", shapes, architectures=["BertForMaskedLM"], extra={"cls.predictions.decoder.weight": (words[0], words[1][::-1])})
    fails(["ds-convert", place, "-o", os.path.join(folder, "x.h5")], 3, "'cls.predictions.decoder.weight' is not 'bert.embeddings.word_embeddings.weight'",
          folder=folder)


def test_what_no_class_is_comes_back_too(folder):
    model, pruned, int8 = (os.path.join(folder, name) for name in ("m.h5", "p.h5", "i.h5"))
    run("ds-train", "--data", "digits", "--epochs", 0, "--threads", 1, "--model.arch", "resnet18", "-o", model)
    run("ds-prune", model, "--ratio", 0.5, "--finetune-epochs", 0, "--threads", 1, "-o", pruned)
    run("ds-quantize", model, "--threads", 1, "-o", int8)
    for path, reason in ((pruned, "changed since it was built as 'resnet18'"), (int8, "it has quantized tensors")):
        out, back = path + ".hf", path + ".back.h5"
        record = convert(path, "-o", out + "/")
        check(record["loads_with"] == "ds" and reason in record["reason"], record)
        check(json.load(open(os.path.join(out, "config.json")))["model_type"] == "ds")
        again = convert(out, "-o", back)
        check(again["outputs"][0]["digest"] == record["inputs"][0]["digest"] and again["same_model"] is True, again)
        os.remove(os.path.join(out, "ds.json"))
        fails(["ds-convert", out, "-o", os.path.join(folder, "x.h5")], 3, "model_type 'ds' is none that is read", folder=folder)


def test_a_net_of_timm(folder):
    model, out, back = (os.path.join(folder, name) for name in ("m.h5", "out", "back.h5"))
    run("ds-train", "--data", "digits", "--epochs", 0, "--threads", 1, "--model.arch", "resnet18", "-o", model)
    record = convert(model, "-o", out + "/")
    check(record["loads_with"] == "timm", record)
    config = json.load(open(os.path.join(out, "config.json")))
    check(config["architecture"] == "resnet18" and config["num_classes"] == 10 and config["pretrained_cfg"]["input_size"] == [1, 8, 8], config)
    check(config["pretrained_cfg"]["crop_pct"] == 1 and config["label_names"] == [str(i) for i in range(10)], config)
    os.remove(os.path.join(out, "ds.json"))
    convert(out, "-o", back)
    check(payload(back) == payload(model) and convert(back, "--inspect")["labels"] == convert(model, "--inspect")["labels"])
    cfg = config["pretrained_cfg"]
    cfg.update(crop_pct=0.875, interpolation="bicubic")
    write(os.path.join(out, "config.json"), config)
    preprocessing = convert(out, "-o", back, "-f")["preprocessing"]
    check(preprocessing["resize"] == 9 and preprocessing["interpolation"] == "bicubic", preprocessing)  # 8 / 0.875, rounded down
    for key, value, part in (("crop_mode", "border", "'crop_mode' is \"border\""), ("interpolation", "lanczos", "'interpolation' is \"lanczos\""),
                             ("input_size", [1, 8], "'input_size' is [1,8]"), ("crop_pct", 0, "'crop_pct' is 0"), ("mean", [1, 2], "'mean' is [1,2]")):
        write(os.path.join(out, "config.json"), {**config, "pretrained_cfg": {**cfg, key: value}})
        fails(["ds-convert", out, "-o", os.path.join(folder, "x.h5")], 3, part, folder=folder)
    write(os.path.join(out, "config.json"), {**config, "architecture": "nfnet_f0"})
    fails(["ds-convert", out, "-o", os.path.join(folder, "x.h5")], 3, "'architecture' of timm is \"nfnet_f0\"", folder=folder)


def test_how_pictures_come_to_their_size_is_said_beside_the_weights(folder):
    cnn, out = os.path.join(SOURCE, "tests/golden/formats/cnn.safetensors"), os.path.join(folder, "m.h5")
    call = [cnn, "--arch", "cnn", "--set", "model.width=4", "--size", 8, "-o", out]
    check("resize" not in convert(*call)["preprocessing"])
    for options, resize, interpolation in ((["--resize", 9], 9, None), (["--resize", "8,10", "--interpolation", "bicubic"], [8, 10], "bicubic")):
        preprocessing = convert(*call, "-f", *options)["preprocessing"]
        check(preprocessing["resize"] == resize and preprocessing.get("interpolation") == interpolation, preprocessing)
    fails(["ds-convert", *call, "-f", "--resize", 7], 2, "--resize: 'resize' is 7, expected at least 8", folder=folder)
    fails(["ds-convert", *call, "-f", "--resize", "8,7"], 2, "--resize: 'resize' is [8,7], expected at least [8,8]", folder=folder)
    fails(["ds-convert", *call, "-f", "--resize", "8,8,8"], 2, "3 numbers, expected the shorter side, or height and width", folder=folder)
    fails(["ds-convert", *call, "-f", "--interpolation", "lanczos"], 2, "lanczos", folder=folder)
    fails(["ds-convert", out, "-o", os.path.join(folder, "n.h5"), "--resize", 9], 2, "describe weights that come without a graph", folder=folder)


def test_folders_that_are_there(folder):
    model, out = os.path.join(folder, "m.h5"), os.path.join(folder, "out")
    convert(made(folder), "-o", model)
    os.mkdir(out)
    convert(model, "-n", "-o", out)
    check(os.listdir(out) == [], "a dry run wrote")
    convert(model, "-o", out)  # an empty folder is as good as none
    fails(["ds-convert", model, "-o", out], 2, "exists and is not empty", "-f", folder=folder)
    convert(model, "-o", out, "-f", "--shard-size", "2KB")
    check("model.safetensors" not in os.listdir(out) and "model.safetensors.index.json" in os.listdir(out), os.listdir(out))
    write(os.path.join(out, "thesis.tex"), "mine")
    fails(["ds-convert", model, "-o", out, "-f"], 2, "has 'thesis.tex', which no model's folder has", folder=folder)
    fails(["ds-convert", model, "-o", os.path.join(folder, "none/out/")], 4, "does not exist", folder=folder)
    fails(["ds-convert", model, "-o", os.path.join(folder, "new/"), "--shard-size", "many"], 2, "--shard-size", folder=folder)
    fails(["ds-convert", made(folder, "again"), "-o", os.path.join(folder, "new/")], 2, "is made of checkpoints", folder=folder)
    fails(["ds-convert", made(folder, "again"), "-o", os.path.join(folder, "a.npz")], 2, "is not made of folders", folder=folder)


def test_config_that_was_changed_wins_over_ours(folder):
    model, out = os.path.join(folder, "m.h5"), os.path.join(folder, "out")
    convert(made(folder), "-o", model)
    convert(model, "-o", out + "/")
    config = json.load(open(os.path.join(out, "config.json")))
    config["id2label"] = {"0": "no", "1": "yes"}
    write(os.path.join(out, "config.json"), config)
    record = convert(out, "-o", os.path.join(folder, "n.h5"))
    check("same_model" not in record and "another config.json" in record["ds.json"], record)
    check(convert(os.path.join(folder, "n.h5"), "--inspect")["labels"] == ["no", "yes"])


def test_memory_stays_near_the_tensors(folder):
    def peak(*arguments):
        child = subprocess.Popen(command("ds-convert", *arguments), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        check(child.returncode == 0, arguments)
        return usage.ru_maxrss / 1024

    base = peak(made(folder, "small"), "-o", os.path.join(folder, "small.h5"))
    rows = 1 << 21  # 64 MiB of 8 features
    place = made(folder, "large", vocab_size=rows)
    held = numbers(classifier())
    header, data = {}, b"".join(struct.pack(f"<{len(v)}f", *v) for n, (_, v) in held.items() if "word_embeddings" not in n)
    at = 0
    for name, (shape, values) in held.items():
        if "word_embeddings" not in name:
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * len(values)]}
            at += 4 * len(values)
    header["bert.embeddings.word_embeddings.weight"] = {"dtype": "F32", "shape": [rows, D], "data_offsets": [at, at + 4 * rows * D]}
    text = json.dumps(header).encode()
    with open(os.path.join(place, "model.safetensors"), "wb") as file:
        text += b" " * (-len(text) % 8)
        file.write(struct.pack("<Q", len(text)) + text + data)
        for _ in range(rows * D >> 16):  # a child's peak counts what its parent held when it was made
            file.write(struct.pack("<f", 0.25) * (1 << 16))
    model = os.path.join(folder, "large.h5")
    used = peak(place, "-o", model) - base
    check(used < 1.1 * 64, f"{used:.0f} MiB for 64 MiB of tensors")
    used = peak(model, "-o", os.path.join(folder, "out/")) - base
    check(used < 1.1 * 64, f"to a folder: {used:.0f} MiB for 64 MiB of tensors")


if __name__ == "__main__":
    main(__name__)
