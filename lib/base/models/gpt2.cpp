#include <fmt/format.h>

#include <cmath>

#include "base/models/parts.h"
#include "base/models/text.h"

namespace ds::models::gpt2 {

/// Sizes of GPT-2, 124 million parameters.
struct Options : TransformerOptions {
  Options() { max_positions = 1024, usual_vocab = 50257, head = "causal-lm"; }
  Options(std::int64_t dim_, std::int64_t depth_, std::int64_t heads_) : Options() { dim = dim_, depth = depth_, heads = heads_, mlp_dim = 4 * dim_; }
  void fields(core::Fields& f) override {
    TransformerOptions::fields(f);
    add_head(f, {"causal-lm", "classification"});
  }
};

struct MediumOptions : Options { MediumOptions() : Options(1024, 24, 16) {} };
struct LargeOptions : Options { LargeOptions() : Options(1280, 36, 20) {} };
struct XlOptions : Options { XlOptions() : Options(1600, 48, 25) {} };
struct DistilOptions : Options { DistilOptions() : Options(768, 6, 12) {} };
struct TinyOptions : Options {
  TinyOptions() : Options(64, 2, 4) { max_positions = 128; }
};

/// The published files keep weights of linear layers as [in, out].
graph::Value linear(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out) {
  return b.node("linear", name, {x}, {{"out_features", out}, {"transposed", true}});
}

/// Causal self-attention whose projections are columns of one tensor.
graph::Value attention(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& mask, const Options& o) {
  const std::string weight = name + ".c_attn.weight", bias = name + ".c_attn.bias";
  b.tensor({.name = weight, .shape = {o.dim, 3 * o.dim}, .init = nullptr});  // init_text draws it
  b.tensor({.name = bias, .shape = {3 * o.dim}, .init = nullptr});
  std::vector<graph::Value> in;
  for (std::int64_t i = 0; i < 3; ++i) {
    in.push_back(b.node("linear", fmt::format("{}.c_attn.{}", name, "qkv"[i]), {x}, {{"out_features", o.dim}, {"transposed", true}},
                        {{"weight", {weight, 1, i * o.dim, (i + 1) * o.dim}}, {"bias", {bias, 0, i * o.dim, (i + 1) * o.dim}}}));
  }
  in.push_back(mask);
  const graph::Value y = b.node("attention", name + ".attention", in, {{"heads", o.heads}, {"causal", true}});
  return dropout(b, name + ".resid_dropout", linear(b, name + ".c_proj", y, o.dim), o, 0.1);
}

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const graph::Value& mask, const Options& o) {
  const graph::Value middle = b.add(name + ".add_1", in, attention(b, name + ".attn", b.layer_norm(name + ".ln_1", in), mask, o));
  graph::Value x = linear(b, name + ".mlp.c_fc", b.layer_norm(name + ".ln_2", middle), o.mlp_dim);
  x = linear(b, name + ".mlp.c_proj", b.node("gelu", name + ".mlp.act", {x}, {{"approximate", "tanh"}}), o.dim);
  return b.add(name + ".add_2", middle, dropout(b, name + ".mlp.dropout", x, o, 0.1));
}

/// Radford et al. 2019, section 2.3: the layers that add to the residual stream start smaller by the root of their number.
void initialise(graph::Graph& graph, const Options& o) {
  init_text(graph);
  const double std = 0.02 / std::sqrt(2.0 * static_cast<double>(o.depth));
  for (graph::TensorSpec& t : graph.tensors)
    if (t.name.ends_with(".c_proj.weight")) t.init = {{"kind", "normal"}, {"mean", 0.0}, {"std", std}};
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  const graph::Value ids = token_input(b, "input_ids"), tokens = token_input(b, "attention_mask"), mask = b.node("key_mask", "mask", {tokens});
  graph::Value x = b.node("embedding", "transformer.wte", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}});
  const graph::Value places = b.node("position_ids", "positions", {ids}, {{"limit", o.max_positions}});
  x = b.add("transformer.add", x, b.node("embedding", "transformer.wpe", {places}, {{"num_embeddings", o.max_positions}, {"dim", o.dim}}));
  x = dropout(b, "transformer.drop", x, o, 0.1);
  for (std::int64_t i = 0; i < o.depth; ++i) x = block(b, fmt::format("transformer.h.{}", i), x, mask, o);
  x = b.layer_norm("transformer.ln_f", x);
  if (o.head == "causal-lm") {
    b.output("logits", b.node("linear", "lm_head", {x}, {{"out_features", o.vocab_size}}, {{"weight", {"transformer.wte.weight"}}}, {"bias"}));
  } else {
    b.output("logits", b.linear("score", b.node("last_token", "last", {x, tokens}), o.num_classes, false));
  }
  graph::Graph graph = b.finish();
  initialise(graph, o);
  return graph;
}

constexpr const char* kSource = "Radford et al. 2019, \"Language Models are Unsupervised Multitask Learners\", table 2; Hugging Face GPT2LMHeadModel";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("gpt2", "GPT-2 decoder of 12 layers, 768 features and 12 heads: 124 million parameters", kSource, build),
    Architecture::make<MediumOptions>("gpt2_medium", "GPT-2 decoder of 24 layers, 1024 features and 16 heads: 355 million parameters", kSource, build),
    Architecture::make<LargeOptions>("gpt2_large", "GPT-2 decoder of 36 layers, 1280 features and 20 heads: 774 million parameters", kSource, build),
    Architecture::make<XlOptions>("gpt2_xl", "GPT-2 decoder of 48 layers, 1600 features and 25 heads: 1.56 billion parameters", kSource, build),
    Architecture::make<DistilOptions>("distilgpt2", "GPT-2 decoder of 6 layers, 768 features and 12 heads: 82 million parameters",
                                      "Sanh et al. 2019, arXiv:1910.01108; Hugging Face distilgpt2", build),
    Architecture::make<TinyOptions>("gpt2_tiny", "GPT-2 decoder of 2 layers, 64 features, 4 heads and 128 positions, for small data", kSource, build),
};

}  // namespace ds::models::gpt2
