#!/usr/bin/env python3
"""Writes what nets for texts are compared with, as Hugging Face's classes have it: tests/golden/zoo/<family>.json, the names and shapes of the tensors
of every size and head, for tests/unit/models/zoo_test.cpp, and tests/golden/parity/<family>_<head>.json, outputs in float64 of a small net, for
tests/unit/exec/parity_test.cpp. A family is called as its file in lib/base/models/.

Run by hand when an architecture is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 transformers==5.24.0
    venv/bin/python tests/golden/make_text.py [FAMILY ...]

Weights come from the formula of make_parity.py. Tensors are those that save_pretrained writes: of tied ones the first alone.
Ids are drawn by the same formula, under the name of the input and the family; the first text has no padding, the others end with it.
"""
import hashlib
import json
import math
import pathlib
import platform
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_parity import uniform, weights

FOLDER = pathlib.Path(__file__).parent
TEXTS, LENGTH, CLASSES = 3, 6, 5


class Family:
    """`net` is the prefix of the classes, `sizes` are {architecture: options of ours}, `keys` what the configuration calls them, `fixed` what the
    configuration has besides."""

    def __init__(self, net, sizes, heads, small, keys=None, fixed=None, inputs=("input_ids", "attention_mask"), padding=0):
        self.net, self.sizes, self.heads, self.small, self.inputs, self.padding = net, sizes, heads, small, inputs, padding
        usual = {"vocab_size": "vocab_size", "max_positions": "max_position_embeddings", "dim": "hidden_size", "depth": "num_hidden_layers"}
        self.keys = {**usual, "heads": "num_attention_heads", "mlp_dim": "intermediate_size", "num_classes": "num_labels", **(keys or {})}
        self.fixed = fixed or {}

    def make(self, options, head):
        config = getattr(transformers, self.net + "Config")(**{self.keys[k]: v for k, v in options.items()}, **self.fixed)
        return getattr(transformers, self.net + self.heads[head])(config)

    def outputs(self, net, head, options, inputs):
        """{output: tensor}, in the order of the graph's."""
        result = net(**inputs)
        if head != "embedding":
            return {"logits": result.logits}
        mask = inputs["attention_mask"].unsqueeze(-1).double()
        mean = (result.last_hidden_state * mask).sum(1) / mask.sum(1)
        outputs = {"embedding": torch.nn.functional.normalize(mean, dim=-1) if options.get("normalize") else mean}
        if "pooler_output" in result:
            outputs["pooled"] = result.pooler_output
        return outputs


HEADS = {"classification": "ForSequenceClassification", "token": "ForTokenClassification", "masked-lm": "ForMaskedLM", "embedding": "Model"}
SMALL = {"vocab_size": 23, "max_positions": 16, "dim": 24, "depth": 2, "heads": 4, "mlp_dim": 36}


def sized(vocab, positions, sizes):
    """{architecture: (depth, dim, heads)} with MLPs of four times the features."""
    return {
        name: {"vocab_size": vocab, "max_positions": positions, "depth": depth, "dim": dim, "heads": heads, "mlp_dim": 4 * dim}
        for name, (depth, dim, heads) in sizes.items()
    }


BERT = ("input_ids", "attention_mask", "token_type_ids")
FAMILIES = {
    "bert": Family(
        "Bert",
        sized(30522, 512, {
            "bert_tiny": (2, 128, 2), "bert_mini": (4, 256, 4), "bert_small": (4, 512, 8), "bert_medium": (8, 512, 8),
            "bert_base": (12, 768, 12), "bert_large": (24, 1024, 16),
        }),
        HEADS, ("bert_tiny", SMALL), inputs=BERT,
    ),
    "roberta": Family(
        "Roberta",
        sized(50265, 514, {"roberta_base": (12, 768, 12), "roberta_large": (24, 1024, 16), "distilroberta_base": (6, 768, 12)}),
        HEADS, ("distilroberta_base", SMALL), fixed={"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}, padding=1,
    ),
    "distilbert": Family(
        "DistilBert",
        sized(30522, 512, {"distilbert_base": (6, 768, 12)}),
        HEADS, ("distilbert_base", SMALL), keys={"dim": "dim", "depth": "n_layers", "heads": "n_heads", "mlp_dim": "hidden_dim"},
    ),
    "minilm": Family(
        "Bert",
        sized(30522, 512, {"minilm_l6": (6, 384, 12), "minilm_l12": (12, 384, 12)}),
        HEADS, ("minilm_l6", {**SMALL, "normalize": True}), keys={"normalize": "output_normalized"}, inputs=BERT,
    ),
}


def tensors(net):
    """Name -> tensor, those that are tied to another left out. The last step of a run checks them against a file that transformers writes."""
    tied = set(net.all_tied_weights_keys)
    return {k: v for k, v in sorted(net.state_dict().items(), key=lambda i: i[0].encode()) if k not in tied}


def written(net):
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        with safe_open(pathlib.Path(folder) / "model.safetensors", "pt") as file:
            return set(file.keys())


def zoo_of(family):
    sizes = {}
    for name, options in family.sizes.items():
        records = []
        for head in family.heads:
            with torch.device("meta"):
                net = family.make({**options, "num_classes": 1000}, head)
            lines = [f"{k} {str(v.dtype).removeprefix('torch.')} {'x'.join(map(str, v.shape))}" for k, v in tensors(net).items()]
            records.append({
                "head": head,
                "parameters": sum(math.prod(p.shape) for p in net.parameters()),
                "tensors": len(lines),
                "sha256": hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest(),
                "lines": lines,
            })
        sizes[name] = {"heads": records}
    smallest = min(sizes, key=lambda name: sizes[name]["heads"][0]["parameters"])
    for name, size in sizes.items():
        for record in size["heads"] if name != smallest else []:
            del record["lines"]
    return {"made_with": made_with(), "sizes": sizes, "smallest": smallest}


def inputs_of(name, family, vocab):
    ids = ((uniform(f"input_ids/{name}", TEXTS * LENGTH) + 1) / 2 * (vocab - 2)).astype(np.int64).reshape(TEXTS, LENGTH) + 2
    mask = np.array([[int(s < LENGTH - n) for s in range(LENGTH)] for n in range(TEXTS)])
    ids[mask == 0] = family.padding
    types = np.array([[int(LENGTH // 2 <= s < LENGTH - n) for s in range(LENGTH)] for n in range(TEXTS)])
    return {k: torch.from_numpy(v) for k, v in {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}.items() if k in family.inputs}


def parity_of(name, family, head):
    arch, options = family.small
    sizes = {**options, "num_classes": CLASSES} if head in ("classification", "token") else options
    net = family.make(sizes, head).eval()
    state = tensors(net)
    if (names := written(net)) != set(state):
        raise SystemExit(f"{name}, {head}: save_pretrained writes other tensors: {sorted(names ^ set(state))}")
    for tensor_name, tensor in state.items():  # they share the net's memory
        tensor.copy_(weights(tensor_name, list(tensor.shape)))
    inputs = inputs_of(name, family, options["vocab_size"])
    with torch.no_grad():
        outputs = family.outputs(net, head, options, inputs)
    return {
        "arch": arch,
        "options": {**sizes, "head": head},
        "made_with": made_with(),
        "inputs": {k: v.tolist() for k, v in inputs.items()},
        "outputs": {k: v.tolist() for k, v in outputs.items()},
    }


def made_with():
    return {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()}


def write(path, record):
    text = json.dumps(record).replace('}, "', '},\n"').replace('}, {"', '},\n{"').replace('], "', '],\n"').replace('", "', '",\n"')
    path.write_text(text + "\n")
    print(f"{path.parent.name}/{path.name}: {len(text)} bytes")


def main():
    transformers.utils.logging.set_verbosity_error()
    torch.set_default_dtype(torch.float32)
    for name in sys.argv[1:] or FAMILIES:
        write(FOLDER / "zoo" / f"{name}.json", zoo_of(FAMILIES[name]))
    torch.set_default_dtype(torch.float64)
    for name in sys.argv[1:] or FAMILIES:
        for head in FAMILIES[name].heads:
            write(FOLDER / "parity" / f"{name}_{head.replace('-', '_')}.json", parity_of(name, FAMILIES[name], head))


if __name__ == "__main__":
    main()
