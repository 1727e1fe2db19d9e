#include <fmt/format.h>

#include "base/models/bert.h"
#include "base/models/parts.h"

namespace ds::models::distilbert {

using graph::Builder;
using graph::Value;

constexpr double kEps = 1e-12;

struct Options : TransformerOptions {
  bool normalize = false;
  Options() { depth = 6; }
  void fields(core::Fields& f) override {
    TransformerOptions::fields(f);
    add_head(f, {"classification", "token", "masked-lm", "embedding"});
    f.add({.name = "normalize", .doc = "with head embedding: embeddings of norm 1"}, normalize);
  }
};

Value embeddings(Builder& b, const std::string& name, const Value& ids, const Options& o) {
  const Value words = b.node("embedding", name + ".word_embeddings", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}});
  const Value at = b.node("position_ids", name + ".position_ids", {ids}, {{"limit", o.max_positions}});
  const Value positions = b.node("embedding", name + ".position_embeddings", {at}, {{"num_embeddings", o.max_positions}, {"dim", o.dim}});
  const Value sum = b.add(name + ".add", words, positions);
  return dropout(b, name + ".dropout", b.layer_norm(name + ".LayerNorm", sum, kEps), o, 0.1);
}

Value layer(Builder& b, const std::string& name, const Value& x, const Value& mask, const Options& o) {
  const std::string self = name + ".attention.";
  const Value q = b.linear(self + "q_lin", x, o.dim), k = b.linear(self + "k_lin", x, o.dim), v = b.linear(self + "v_lin", x, o.dim);
  const Value attended = b.linear(self + "out_lin", b.node("attention", self + "attention", {q, k, v, mask}, {{"heads", o.heads}}), o.dim);
  const Value middle = b.layer_norm(name + ".sa_layer_norm", b.add(name + ".add_1", attended, x), kEps);
  const Value wide = b.gelu(name + ".ffn.gelu", b.linear(name + ".ffn.lin1", middle, o.mlp_dim));
  const Value narrow = dropout(b, name + ".ffn.dropout", b.linear(name + ".ffn.lin2", wide, o.dim), o, 0.1);
  return b.layer_norm(name + ".output_layer_norm", b.add(name + ".add_2", narrow, middle), kEps);
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  Builder b;
  const std::string prefix = o.head == "embedding" ? "" : "distilbert.";
  const Value ids = token_input(b, "input_ids"), tokens = token_input(b, "attention_mask");
  Value x = embeddings(b, prefix + "embeddings", ids, o);
  const Value mask = b.node("key_mask", prefix + "key_mask", {tokens});
  for (std::int64_t i = 0; i < o.depth; ++i) x = layer(b, fmt::format("{}transformer.layer.{}", prefix, i), x, mask, o);
  if (o.head == "embedding") {
    x = b.node("masked_mean", "mean", {x, tokens});
    b.output("embedding", o.normalize ? b.node("l2_normalize", "normalize", {x}) : x);
  } else if (o.head == "classification") {
    x = b.linear("pre_classifier", b.node("select", "first_token", {x}, {{"axis", 1}, {"index", 0}}), o.dim);
    x = dropout(b, "dropout", b.relu("relu", x), o, 0.2);
    b.output("logits", b.linear("classifier", x, o.num_classes));
  } else if (o.head == "token") {
    b.output("logits", b.linear("classifier", dropout(b, "dropout", x, o, 0.1), o.num_classes));
  } else {
    x = b.layer_norm("vocab_layer_norm", b.gelu("vocab_gelu", b.linear("vocab_transform", x, o.dim)), kEps);
    b.output("logits", tied_decoder(b, "vocab_projector", x, prefix + "embeddings.word_embeddings", "vocab_projector.bias", o.vocab_size));
  }
  graph::Graph graph = b.finish();
  init_text(graph);
  return graph;
}

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("distilbert_base", "BERT of 6 layers, 768 features and 12 heads without token types, as distilled: 67 million parameters",
                                "Sanh et al. 2019, arXiv:1910.01108, section 3", build),
};

}  // namespace ds::models::distilbert
