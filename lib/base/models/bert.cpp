#include "base/models/bert.h"

#include <fmt/format.h>

#include "base/models/parts.h"

namespace ds::models {
namespace bert {

using graph::Builder;
using graph::Value;

Value embed(Builder& b, const std::string& name, const Value& ids, std::int64_t rows, std::int64_t dim) {
  return b.node("embedding", name, {ids}, {{"num_embeddings", rows}, {"dim", dim}});
}

/// Words, types and positions, summed and normalised.
Value embeddings(Builder& b, const std::string& name, const Value& ids, const BertOptions& o, const BertKind& kind) {
  const Value words = embed(b, name + ".word_embeddings", ids, o.vocab_size, o.dim);
  Value types;
  if (kind.types) {
    types = embed(b, name + ".token_type_embeddings", token_input(b, "token_type_ids"), 2, o.dim);
  } else {
    const std::string tensor = name + ".token_type_embeddings.weight";
    b.tensor({.name = tensor, .shape = {1, o.dim}, .init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.02}}});
    types = b.node("tensor", name + ".token_type_embeddings", {}, graph::Json::object(), {{"value", {tensor}}});
  }
  const Value at = b.node("position_ids", name + ".position_ids", {ids}, {{"padding_idx", kind.padding}, {"limit", o.max_positions}});
  const Value positions = embed(b, name + ".position_embeddings", at, o.max_positions, o.dim);
  const Value sum = b.add(name + ".add_position", b.add(name + ".add_type", words, types), positions);
  return dropout(b, name + ".dropout", b.layer_norm(name + ".LayerNorm", sum, kind.eps), o, 0.1);
}

/// dense, dropout, and the norm of its sum with what went in.
Value output(Builder& b, const std::string& name, const Value& x, const Value& residual, const BertOptions& o, const BertKind& kind) {
  const Value y = dropout(b, name + ".dropout", b.linear(name + ".dense", x, o.dim), o, 0.1);
  return b.layer_norm(name + ".LayerNorm", b.add(name + ".add", y, residual), kind.eps);
}

Value layer(Builder& b, const std::string& name, const Value& x, const Value& mask, const BertOptions& o, const BertKind& kind) {
  const std::string self = name + ".attention.self.";
  const Value q = b.linear(self + "query", x, o.dim), k = b.linear(self + "key", x, o.dim), v = b.linear(self + "value", x, o.dim);
  const Value attended = b.node("attention", self + "attention", {q, k, v, mask}, {{"heads", o.heads}});
  const Value middle = output(b, name + ".attention.output", attended, x, o, kind);
  const Value wide = b.gelu(name + ".intermediate.gelu", b.linear(name + ".intermediate.dense", middle, o.mlp_dim));
  return output(b, name + ".output", wide, middle, o, kind);
}

template <int layers, int features, int attention_heads>
struct Sized : BertOptions {
  Sized() { depth = layers, dim = features, heads = attention_heads, mlp_dim = 4 * features; }
};

constexpr const char* kSource = "Devlin et al. 2018, arXiv:1810.04805, section 3";
constexpr const char* kSmall = "Turc et al. 2019, arXiv:1908.08962, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<2, 128, 2>>("bert_tiny", "BERT of 2 layers, 128 features and 2 heads: 4.4 million parameters", kSmall, build_bert),
    Architecture::make<Sized<4, 256, 4>>("bert_mini", "BERT of 4 layers, 256 features and 4 heads: 11.2 million parameters", kSmall, build_bert),
    Architecture::make<Sized<4, 512, 8>>("bert_small", "BERT of 4 layers, 512 features and 8 heads: 28.8 million parameters", kSmall, build_bert),
    Architecture::make<Sized<8, 512, 8>>("bert_medium", "BERT of 8 layers, 512 features and 8 heads: 41.4 million parameters", kSmall, build_bert),
    Architecture::make<Sized<12, 768, 12>>("bert_base", "BERT of 12 layers, 768 features and 12 heads: 109 million parameters", kSource, build_bert),
    Architecture::make<Sized<24, 1024, 16>>("bert_large", "BERT of 24 layers, 1024 features and 16 heads: 335 million parameters", kSource, build_bert),
};

}  // namespace bert

void BertOptions::fields(core::Fields& f) {
  TransformerOptions::fields(f);
  add_head(f, {"classification", "token", "masked-lm", "embedding"});
  f.add({.name = "pooler", .doc = "with head embedding: also the layer behind the first token, as an output of its own"}, pooler);
  f.add({.name = "normalize", .doc = "with head embedding: embeddings of norm 1"}, normalize);
}

BertBody bert_body(graph::Builder& b, const BertOptions& o, const BertKind& kind) {
  BertBody body{o.head == "embedding" ? "" : kind.name + ".", {}, {}};
  const graph::Value ids = token_input(b, "input_ids");
  body.mask = token_input(b, "attention_mask");
  body.hidden = bert::embeddings(b, body.prefix + "embeddings", ids, o, kind);
  const graph::Value mask = b.node("key_mask", body.prefix + "key_mask", {body.mask});
  for (std::int64_t i = 0; i < o.depth; ++i)
    body.hidden = bert::layer(b, fmt::format("{}encoder.layer.{}", body.prefix, i), body.hidden, mask, o, kind);
  return body;
}

graph::Value bert_pooler(graph::Builder& b, const BertBody& body, std::int64_t dim) {
  const graph::Value first = b.node("select", body.prefix + "pooler.first_token", {body.hidden}, {{"axis", 1}, {"index", 0}});
  return b.node("tanh", body.prefix + "pooler.tanh", {b.linear(body.prefix + "pooler.dense", first, dim)});
}

void embedding_head(graph::Builder& b, const BertBody& body, const BertOptions& o) {
  graph::Value x = b.node("masked_mean", "mean", {body.hidden, body.mask});
  if (o.normalize) x = b.node("l2_normalize", "normalize", {x});
  b.output("embedding", x);
  if (o.pooler) b.output("pooled", bert_pooler(b, body, o.dim));
}

graph::Value tied_decoder(graph::Builder& b, const std::string& name, const graph::Value& x, const std::string& words, const std::string& bias,
                          std::int64_t vocab_size) {
  b.tensor({.name = bias, .shape = {vocab_size}, .init = {{"kind", "zeros"}}});
  return b.node("linear", name, {x}, {{"out_features", vocab_size}}, {{"weight", {words + ".weight"}}, {"bias", {bias}}});
}

graph::Graph build_bert(const core::Options& options) {
  const auto& o = static_cast<const BertOptions&>(options);
  const BertKind kind{.name = "bert"};
  graph::Builder b;
  const BertBody body = bert_body(b, o, kind);
  if (o.head == "embedding") {
    embedding_head(b, body, o);
  } else if (o.head == "classification") {
    const graph::Value pooled = dropout(b, "dropout", bert_pooler(b, body, o.dim), o, 0.1);
    b.output("logits", b.linear("classifier", pooled, o.num_classes));
  } else if (o.head == "token") {
    b.output("logits", b.linear("classifier", dropout(b, "dropout", body.hidden, o, 0.1), o.num_classes));
  } else {
    const std::string name = "cls.predictions.";
    graph::Value x = b.gelu(name + "transform.gelu", b.linear(name + "transform.dense", body.hidden, o.dim));
    x = b.layer_norm(name + "transform.LayerNorm", x, kind.eps);
    b.output("logits", tied_decoder(b, name + "decoder", x, body.prefix + "embeddings.word_embeddings", name + "bias", o.vocab_size));
  }
  graph::Graph graph = b.finish();
  init_text(graph);
  return graph;
}

}  // namespace ds::models
