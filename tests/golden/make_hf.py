#!/usr/bin/env python3
"""Writes tests/golden/hf.json: the config.json and the tensors of a small net of each class of transformers that ds-convert reads and writes, as
save_pretrained leaves them; for tests/unit/models/hf_test.cpp.

Run by hand when a class is added; the file is kept. Written with torch 2.11.0, transformers 5.24.0:
    venv/bin/pip install torch==2.11.0 transformers && venv/bin/python tests/golden/make_hf.py

Per class: {"config": config.json without what tells of the program (transformers_version), "tensors": {name: shape}}.
"""
import json
import pathlib
import tempfile

import safetensors.torch
import torch
import transformers as T

SMALL = {"vocab_size": 50, "num_labels": 3}
BERT = {**SMALL, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 20}
ROBERTA = {**BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
DISTIL = {**SMALL, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 20}
GPT2 = {**SMALL, "n_positions": 20, "n_embd": 16, "n_layer": 2, "n_head": 2, "pad_token_id": 0}
LLAMA = {**SMALL, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 24,
         "max_position_embeddings": 20, "pad_token_id": 0}
ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
T5 = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}

NETS = [(name, T.BertConfig, BERT) for name in ("BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForTokenClassification")]
NETS += [(name, T.RobertaConfig, ROBERTA) for name in ("RobertaModel", "RobertaForMaskedLM", "RobertaForSequenceClassification", "RobertaForTokenClassification")]
NETS += [(name, T.DistilBertConfig, DISTIL) for name in ("DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification",
                                                         "DistilBertForTokenClassification")]
NETS += [(name, T.GPT2Config, GPT2) for name in ("GPT2LMHeadModel", "GPT2ForSequenceClassification")]
NETS += [("GPT2LMHeadModel", T.GPT2Config, {**GPT2, "n_inner": 40})]
NETS += [(name, T.LlamaConfig, LLAMA) for name in ("LlamaForCausalLM", "LlamaForSequenceClassification")]
NETS += [("LlamaForCausalLM", T.LlamaConfig, {**LLAMA, "tie_word_embeddings": True, "rope_parameters": ROPE, "rms_norm_eps": 1e-5, "head_dim": 6})]
NETS += [("T5ForConditionalGeneration", T.T5Config, T5)]
NETS += [("T5ForConditionalGeneration", T.T5Config, {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False})]


def made(name, config, options):
    torch.manual_seed(0)
    net = getattr(T, name)(config(**options))
    if options.get("tie_word_embeddings") is False:  # in memory they begin as one; files of version 1.1 have two
        net.lm_head.weight = torch.nn.Parameter(net.lm_head.weight.detach() + 1)
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        said = json.loads((pathlib.Path(folder) / "config.json").read_text())
        tensors = safetensors.torch.load_file(pathlib.Path(folder) / "model.safetensors")
    del said["transformers_version"]
    return {"class": name, "config": said, "tensors": {key: list(tensor.shape) for key, tensor in sorted(tensors.items())}}


if __name__ == "__main__":
    path = pathlib.Path(__file__).parent / "hf.json"
    path.write_text("[" + ",\n".join(json.dumps(made(*net), separators=(",", ":")) for net in NETS) + "]\n")
