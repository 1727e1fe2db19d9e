#!/usr/bin/env python3
"""What make_text.py writes, for language models and recurrent and temporal convolutional nets: tests/golden/zoo/<family>.json and
tests/golden/parity/<family>_<head>.json. LSTM, GRU and TCN are compared with torch.nn's layers in the classes below, whose names are those of PyTorch's
example word_language_model and of github.com/locuslab/TCN without its weight normalisation.

Run by hand when an architecture is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install torch==2.11.0 transformers==5.24.0
    venv/bin/python tests/golden/make_decoders.py [FAMILY ...]

transformers computes rotary angles and the mean squares of norms in float32 whatever the type of the net: for the outputs in float64, torch.float32 and
Tensor.float are float64 while a net is made and run.
"""
import contextlib
import pathlib
import sys
import unittest.mock

import numpy as np
import safetensors.torch
import torch
import transformers
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import make_text
from make_parity import uniform
from make_text import LENGTH, SMALL, TEXTS, Family

TARGETS = 5  # tokens of a text that a decoder is given


@contextlib.contextmanager
def in_float64():
    patch = unittest.mock.patch.object
    with patch(torch, "float32", torch.float64), patch(torch, "float", torch.float64), patch(torch.Tensor, "float", torch.Tensor.double):
        yield


class Decoder(Family):
    def make(self, options, head):
        if torch.get_default_dtype() == torch.float32:
            return super().make(options, head)
        with in_float64():
            return super().make(options, head)

    def outputs(self, net, head, options, inputs):
        with in_float64():
            return {"logits": net(**inputs).logits}


class Llama(Decoder):
    """rope_base and rope_factor are members of `rope_parameters`."""

    def make(self, options, head):
        options = dict(options)
        rope = {"rope_type": "default", "rope_theta": options.pop("rope_base", 10000.0)}
        if (factor := options.pop("rope_factor", 1)) != 1:
            rope |= {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
        self.fixed = {**self.fixed, "rope_parameters": rope}
        return super().make(options, head)


class T5(Decoder):
    """transformers 5 ties the output layer always, and leaves version 1.1's alone where a file has it: that is made by hand here."""

    def make(self, options, head):
        options = {"dim": 768, **options}
        gated, tied = options.pop("gated", False), options.pop("tie_weights", True)
        config = {"feed_forward_proj": "gated-gelu" if gated else "relu", "tie_word_embeddings": tied}
        self.fixed = {**self.fixed, **config}
        net = super().make(options, head)
        if not tied:
            net.lm_head = nn.Linear(net.config.d_model, net.config.vocab_size, bias=False)
            del net.all_tied_weights_keys["lm_head.weight"]
            net.config.tie_word_embeddings = False
        return net


class Net(nn.Module):
    """What make_text.py asks of a net of transformers."""

    all_tied_weights_keys = {}

    def tie(self, name, of):
        self.get_submodule(name).weight = self.get_submodule(of).weight
        self.all_tied_weights_keys = {f"{name}.weight": f"{of}.weight"}

    def save_pretrained(self, folder):
        state = {k: v.contiguous() for k, v in self.state_dict().items() if k not in self.all_tied_weights_keys}
        safetensors.torch.save_file(state, pathlib.Path(folder) / "model.safetensors")


class Recurrent(Net):
    def __init__(self, layer, head, vocab_size, num_classes=0, dim=128, hidden_size=256, depth=1, bidirectional=False, tie_weights=False):
        super().__init__()
        self.encoder = nn.Embedding(vocab_size, dim)
        self.rnn = layer(dim, hidden_size, depth, batch_first=True, bidirectional=bidirectional)
        if head == "causal-lm":
            self.decoder = nn.Linear(hidden_size, vocab_size)
        else:
            self.classifier = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)
        if tie_weights:
            self.tie("decoder", "encoder")

    def forward(self, input_ids, attention_mask):
        x = nn.utils.rnn.pack_padded_sequence(self.encoder(input_ids), attention_mask.sum(1), batch_first=True, enforce_sorted=False)
        y, state = self.rnn(x)
        if hasattr(self, "decoder"):
            return self.decoder(nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=input_ids.shape[1])[0])
        last = (state[0] if isinstance(state, tuple) else state)[-2 if self.rnn.bidirectional else -1 :]
        return self.classifier(torch.cat(list(last), 1))


class TemporalBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, dilation):
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.conv1, self.conv2 = (nn.Conv1d(n, outputs, kernel, dilation=dilation) for n in (inputs, outputs))
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x):
        y = x
        for conv in (self.conv1, self.conv2):
            y = torch.relu(conv(nn.functional.pad(y, (self.before, 0))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Tcn(Net):
    def __init__(self, head, vocab_size, num_classes=0, dim=128, hidden_size=128, depth=4, kernel_size=3, tie_weights=False):
        super().__init__()
        self.encoder = nn.Embedding(vocab_size, dim)
        sizes = [dim] + [hidden_size] * (depth - 1) + [dim if head == "causal-lm" else hidden_size]
        self.tcn = nn.Module()
        self.tcn.network = nn.Sequential(*(TemporalBlock(sizes[i], sizes[i + 1], kernel_size, 2**i) for i in range(depth)))
        if head == "causal-lm":
            self.decoder = nn.Linear(dim, vocab_size)
        else:
            self.linear = nn.Linear(hidden_size, num_classes)
        if tie_weights:
            self.tie("decoder", "encoder")

    def forward(self, input_ids, attention_mask):
        y = self.tcn.network(self.encoder(input_ids).transpose(1, 2)).transpose(1, 2)
        if hasattr(self, "decoder"):
            return self.decoder(y)
        return self.linear(y[torch.arange(len(y)), attention_mask.sum(1) - 1])


class Plain(Family):
    def __init__(self, nets, heads, small):
        super().__init__("", {name: {"vocab_size": 30522} for name in nets}, dict.fromkeys(heads), small)
        self.nets = nets

    def make(self, options, head):
        options = dict(options)
        return self.nets[options.pop("arch", self.small[0])](head=head, **options)

    def outputs(self, net, head, options, inputs):
        return {"logits": net(**inputs)}


def recurrent(layer):
    return lambda **options: Recurrent(layer, **options)


def llamas(**sizes):
    """{architecture: (vocabulary, positions, dim, depth, heads, kv_heads, mlp_dim, further options)}."""
    names = ("vocab_size", "max_positions", "dim", "depth", "heads", "kv_heads", "mlp_dim")
    return {name: {**dict(zip(names, values[:7])), **values[7]} for name, values in sizes.items()}


def t5s(**sizes):
    """{architecture: (dim, depth, heads, head_dim, mlp_dim, whether version 1.1)}."""
    names = ("dim", "depth", "heads", "head_dim", "mlp_dim")
    return {name: {"vocab_size": 32128, **dict(zip(names, v[:5])), "gated": v[5], "tie_weights": not v[5]} for name, v in sizes.items()}


GPT2_KEYS = {"max_positions": "n_positions", "dim": "n_embd", "depth": "n_layer", "heads": "n_head", "mlp_dim": "n_inner"}
LLAMA_KEYS = {"kv_heads": "num_key_value_heads", "norm_eps": "rms_norm_eps", "tie_weights": "tie_word_embeddings", "head_dim": "head_dim"}
T5_KEYS = {
    "dim": "d_model", "depth": "num_layers", "decoder_depth": "num_decoder_layers", "heads": "num_heads", "head_dim": "d_kv", "mlp_dim": "d_ff",
    "buckets": "relative_attention_num_buckets", "max_distance": "relative_attention_max_distance",
}
LLAMA_32 = {"rope_base": 500000.0, "rope_factor": 32.0, "tie_weights": True}
NETS = {"gru": recurrent(nn.GRU), "lstm": recurrent(nn.LSTM)}
LLAMA_SMALL = {**SMALL, "kv_heads": 2, "head_dim": 8, "norm_eps": 1e-5}
T5_SMALL = {"vocab_size": 23, "dim": 24, "depth": 2, "heads": 4, "head_dim": 8, "mlp_dim": 36, "buckets": 8, "max_distance": 5}

FAMILIES = {
    "gpt2": Decoder(
        "GPT2",
        {
            **make_text.sized(50257, 1024, {
                "gpt2": (12, 768, 12), "gpt2_medium": (24, 1024, 16), "gpt2_large": (36, 1280, 20), "gpt2_xl": (48, 1600, 25), "distilgpt2": (6, 768, 12),
            }),
            **make_text.sized(50257, 128, {"gpt2_tiny": (2, 64, 4)}),
        },
        {"causal-lm": "LMHeadModel", "classification": "ForSequenceClassification"},
        ("gpt2_tiny", SMALL), keys=GPT2_KEYS, fixed={"pad_token_id": 0},
    ),
    "llama": Llama(
        "Llama",
        llamas(
            llama_tiny=(32000, 128, 64, 2, 4, 2, 176, {}),
            llama_68m=(32000, 2048, 768, 2, 12, 12, 3072, {"norm_eps": 1e-6}),
            llama_160m=(32000, 2048, 768, 12, 12, 12, 3072, {"norm_eps": 1e-6}),
            tinyllama_1_1b=(32000, 2048, 2048, 22, 32, 4, 5632, {}),
            llama2_7b=(32000, 4096, 4096, 32, 32, 32, 11008, {}),
            llama3_8b=(128256, 8192, 4096, 32, 32, 8, 14336, {"rope_base": 500000.0}),
            llama31_8b=(128256, 131072, 4096, 32, 32, 8, 14336, {"rope_base": 500000.0, "rope_factor": 8.0}),
            llama32_1b=(128256, 131072, 2048, 16, 32, 8, 8192, {**LLAMA_32, "head_dim": 64}),
            llama32_3b=(128256, 131072, 3072, 28, 24, 8, 8192, {**LLAMA_32, "head_dim": 128}),
        ),
        {"causal-lm": "ForCausalLM", "classification": "ForSequenceClassification"},
        ("llama_tiny", LLAMA_SMALL), keys=LLAMA_KEYS, fixed={"pad_token_id": 0},
    ),
    "t5": T5(
        "T5",
        t5s(
            t5_tiny=(64, 2, 4, 16, 128, False),
            t5_small=(512, 6, 8, 64, 2048, False),
            t5_base=(768, 12, 12, 64, 3072, False),
            t5_large=(1024, 24, 16, 64, 4096, False),
            t5_v1_1_small=(512, 8, 6, 64, 1024, True),
            t5_v1_1_base=(768, 12, 12, 64, 2048, True),
            t5_v1_1_large=(1024, 24, 16, 64, 2816, True),
        ),
        {"seq2seq-lm": "ForConditionalGeneration"},
        ("t5_tiny", T5_SMALL), keys=T5_KEYS, inputs=("input_ids", "attention_mask", "decoder_input_ids"),
    ),
    "lstm": Plain(NETS, ("classification", "causal-lm"), ("lstm", {"vocab_size": 23, "dim": 10, "hidden_size": 12})),
    "tcn": Plain({"tcn": Tcn}, ("classification", "causal-lm"), ("tcn", {"vocab_size": 23, "dim": 10, "hidden_size": 12, "depth": 2})),
}

# Beside the small net of each family and head: {file: (family, head, architecture, further options)}.
MORE = {
    "llama_scaled": ("llama", "causal-lm", "llama32_1b", {"rope_base": 3000.0, "rope_factor": 32.0, "tie_weights": True}),
    "t5_v1_1": ("t5", "seq2seq-lm", "t5_v1_1_small", {"gated": True, "tie_weights": False}),
    "lstm_bidirectional": ("lstm", "classification", "lstm", {"depth": 2, "bidirectional": True}),
    "gru_classification": ("lstm", "classification", "gru", {"depth": 2, "bidirectional": True}),
    "gru_causal_lm": ("lstm", "causal-lm", "gru", {"hidden_size": 10, "tie_weights": True}),
}


def zoo_of(family):
    if isinstance(family, Plain):  # the name says which net
        family.sizes = {name: {**options, "arch": name} for name, options in family.sizes.items()}
    return make_text.zoo_of(family)


def inputs_of(name, family, vocab):
    inputs = TEXT_INPUTS(name, family, vocab)
    if "decoder_input_ids" in family.inputs:
        ids = (uniform(f"decoder_input_ids/{name}", TEXTS * TARGETS) + 1) / 2 * vocab
        inputs["decoder_input_ids"] = torch.from_numpy(ids.astype(np.int64).reshape(TEXTS, TARGETS))
    return inputs


TEXT_INPUTS, make_text.inputs_of = make_text.inputs_of, inputs_of


def parity_of(name, family, head, arch=None, more=None):
    usual = family.small
    family.small = (arch or usual[0], {**usual[1], **(more or {})})
    try:
        return make_text.parity_of(name, family, head)
    finally:
        family.small = usual


def main():
    transformers.utils.logging.set_verbosity_error()
    names = sys.argv[1:] or FAMILIES
    torch.set_default_dtype(torch.float32)
    for name in names:
        make_text.write(make_text.FOLDER / "zoo" / f"{name}.json", zoo_of(FAMILIES[name]))
    torch.set_default_dtype(torch.float64)
    for name in names:
        for head in FAMILIES[name].heads:
            make_text.write(make_text.FOLDER / "parity" / f"{name}_{head.replace('-', '_')}.json", parity_of(name, FAMILIES[name], head))
    for file, (name, head, arch, options) in MORE.items():
        if name in names:
            make_text.write(make_text.FOLDER / "parity" / f"{file}.json", parity_of(name, FAMILIES[name], head, arch, options))


if __name__ == "__main__":
    main()
