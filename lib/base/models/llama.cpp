#include <fmt/format.h>

#include "base/core/error.h"
#include "base/models/parts.h"
#include "base/models/text.h"

namespace ds::models::llama {

/// Sizes of Llama 2, 7 billion parameters.
struct Options : TransformerOptions {
  std::int64_t kv_heads = 0, head_dim = 0;
  double rope_base = 10000, rope_factor = 1, norm_eps = 1e-5;
  bool tie_weights = false;

  Options() { max_positions = 4096, usual_vocab = 32000, head = "causal-lm", set(4096, 32, 32, 32, 11008); }
  void fields(core::Fields& f) override {
    TransformerOptions::fields(f);
    add_head(f, {"causal-lm", "classification"});
    f.add({.name = "kv_heads", .doc = "heads of keys and values, each for a group of heads; 0 = as many as heads", .min = 0, .max = 1024}, kv_heads);
    f.add({.name = "head_dim", .doc = "features of a head; 0 = dim / heads", .min = 0, .max = 65536}, head_dim);
    f.add({.name = "rope_base", .doc = "base of the rotary frequencies", .min = 1, .max = 1e12}, rope_base);
    f.add({.name = "rope_factor", .doc = "how far Llama 3.1's rule stretches the slow rotary frequencies; 1 = not", .min = 1, .max = 1e6}, rope_factor);
    f.add({.name = "norm_eps", .doc = "added to the mean square in each norm", .min = 0, .max = 1}, norm_eps);
    f.add({.name = "tie_weights", .doc = "the output layer shares the embedding's weights"}, tie_weights);
  }
  void check() const override {
    if (head_dim == 0) TransformerOptions::check();
    if (per_head() % 2 != 0) throw Error(Exit::kUsage, "model.head_dim", fmt::format("is {}, expected an even number", per_head()));
    if (heads % groups() != 0)
      throw Error(Exit::kUsage, "model.heads", fmt::format("is {}, expected a multiple of model.kv_heads ({})", heads, kv_heads));
  }
  std::int64_t per_head() const { return head_dim > 0 ? head_dim : dim / heads; }
  std::int64_t groups() const { return kv_heads > 0 ? kv_heads : heads; }

 protected:
  void set(std::int64_t dim_, std::int64_t depth_, std::int64_t heads_, std::int64_t kv_heads_, std::int64_t mlp_dim_) {
    dim = dim_, depth = depth_, heads = heads_, kv_heads = kv_heads_, mlp_dim = mlp_dim_;
  }
  /// Vocabulary and rotary base of Llama 3.
  void third(std::int64_t positions, double factor) { usual_vocab = 128256, rope_base = 500000, max_positions = positions, rope_factor = factor; }
};

struct TinyOptions : Options {
  TinyOptions() { set(64, 2, 4, 2, 176), max_positions = 128; }
};
struct L68mOptions : Options {
  L68mOptions() { set(768, 2, 12, 12, 3072), max_positions = 2048, norm_eps = 1e-6; }
};
struct L160mOptions : Options {
  L160mOptions() { set(768, 12, 12, 12, 3072), max_positions = 2048, norm_eps = 1e-6; }
};
struct TinyLlamaOptions : Options {
  TinyLlamaOptions() { set(2048, 22, 32, 4, 5632), max_positions = 2048; }
};
struct Third8bOptions : Options {
  Third8bOptions() { set(4096, 32, 32, 8, 14336), third(8192, 1); }
};
struct Third1Of8bOptions : Options {
  Third1Of8bOptions() { set(4096, 32, 32, 8, 14336), third(131072, 8); }
};
struct Third2Of1bOptions : Options {
  Third2Of1bOptions() { set(2048, 16, 32, 8, 8192), third(131072, 32), head_dim = 64, tie_weights = true; }
};
struct Third2Of3bOptions : Options {
  Third2Of3bOptions() { set(3072, 28, 24, 8, 8192), third(131072, 32), head_dim = 128, tie_weights = true; }
};

graph::Value norm(graph::Builder& b, const std::string& name, const graph::Value& x, const Options& o) {
  return b.node("rms_norm", name, {x}, {{"eps", o.norm_eps}});
}

graph::Value rotated(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t heads, const Options& o) {
  graph::Json attrs = {{"heads", heads}, {"base", o.rope_base}};
  if (o.rope_factor != 1) attrs.update({{"scaling", "llama3"}, {"factor", o.rope_factor}});
  return b.node("rope", name, {x}, std::move(attrs));
}

graph::Value self_attention(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& mask, const Options& o) {
  const std::int64_t d = o.per_head(), kv = o.groups();
  const graph::Value q = rotated(b, name + ".q_rope", b.linear(name + ".q_proj", x, o.heads * d, false), o.heads, o);
  const graph::Value k = rotated(b, name + ".k_rope", b.linear(name + ".k_proj", x, kv * d, false), kv, o);
  const graph::Value v = b.linear(name + ".v_proj", x, kv * d, false);
  graph::Json attrs = {{"heads", o.heads}, {"causal", true}};
  if (kv != o.heads) attrs["kv_heads"] = kv;
  const graph::Value y = b.node("attention", name + ".attention", {q, k, v, mask}, std::move(attrs));
  return dropout(b, name + ".dropout", b.linear(name + ".o_proj", y, o.dim, false), o, 0);
}

/// SwiGLU (Shazeer 2020, arXiv:2002.05202, eq. 6).
graph::Value mlp(graph::Builder& b, const std::string& name, const graph::Value& x, const Options& o) {
  const graph::Value gate = b.node("silu", name + ".act_fn", {b.linear(name + ".gate_proj", x, o.mlp_dim, false)});
  const graph::Value hidden = b.node("mul", name + ".gated", {gate, b.linear(name + ".up_proj", x, o.mlp_dim, false)});
  return dropout(b, name + ".dropout", b.linear(name + ".down_proj", hidden, o.dim, false), o, 0);
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  const graph::Value ids = token_input(b, "input_ids"), tokens = token_input(b, "attention_mask"), mask = b.node("key_mask", "mask", {tokens});
  graph::Value x = b.node("embedding", "model.embed_tokens", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}});
  for (std::int64_t i = 0; i < o.depth; ++i) {
    const std::string name = fmt::format("model.layers.{}", i);
    x = b.add(name + ".add_1", x, self_attention(b, name + ".self_attn", norm(b, name + ".input_layernorm", x, o), mask, o));
    x = b.add(name + ".add_2", x, mlp(b, name + ".mlp", norm(b, name + ".post_attention_layernorm", x, o), o));
  }
  x = norm(b, "model.norm", x, o);
  if (o.head == "classification") {
    b.output("logits", b.linear("score", b.node("last_token", "last", {x, tokens}), o.num_classes, false));
  } else {
    std::map<std::string, graph::Slot> slots;
    if (o.tie_weights) slots["weight"] = {"model.embed_tokens.weight"};
    b.output("logits", b.node("linear", "lm_head", {x}, {{"out_features", o.vocab_size}}, slots, {"bias"}));
  }
  graph::Graph graph = b.finish();
  init_text(graph);
  return graph;
}

constexpr const char* kFirst = "Touvron et al. 2023, arXiv:2302.13971, section 2.2; Hugging Face LlamaForCausalLM";
constexpr const char* kSecond = "Touvron et al. 2023, arXiv:2307.09288, section 2.2; Hugging Face meta-llama/Llama-2-7b-hf";
constexpr const char* kThird = "Grattafiori et al. 2024, arXiv:2407.21783, section 3.2; Hugging Face meta-llama/Meta-Llama-3-8B";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<TinyOptions>("llama_tiny", "Llama decoder of 2 layers, 64 features, 4 heads and 2 key-value heads, for small data", kFirst, build),
    Architecture::make<L68mOptions>("llama_68m", "Llama decoder of 2 layers, 768 features and 12 heads: 68 million parameters",
                                    "Miao et al. 2023, arXiv:2305.09781; Hugging Face JackFram/llama-68m", build),
    Architecture::make<L160mOptions>("llama_160m", "Llama decoder of 12 layers, 768 features and 12 heads: 162 million parameters",
                                     "Miao et al. 2023, arXiv:2305.09781; Hugging Face JackFram/llama-160m", build),
    Architecture::make<TinyLlamaOptions>("tinyllama_1_1b", "Llama decoder of 22 layers, 2048 features, 32 heads and 4 key-value heads: 1.1 billion parameters",
                                         "Zhang et al. 2024, arXiv:2401.02385, table 1; Hugging Face TinyLlama/TinyLlama-1.1B", build),
    Architecture::make<Options>("llama2_7b", "Llama 2 decoder of 32 layers, 4096 features and 32 heads: 6.7 billion parameters", kSecond, build),
    Architecture::make<Third8bOptions>("llama3_8b", "Llama 3 decoder of 32 layers, 4096 features, 32 heads and 8 key-value heads: 8 billion parameters",
                                       kThird, build),
    Architecture::make<Third1Of8bOptions>("llama31_8b", "Llama 3.1: the decoder of Llama 3 8B for 131072 positions", kThird, build),
    Architecture::make<Third2Of1bOptions>("llama32_1b", "Llama 3.2 decoder of 16 layers, 2048 features, 32 heads and 8 key-value heads: 1.2 billion parameters",
                                          "Hugging Face meta-llama/Llama-3.2-1B", build),
    Architecture::make<Third2Of3bOptions>("llama32_3b", "Llama 3.2 decoder of 28 layers, 3072 features, 24 heads and 8 key-value heads: 3.2 billion parameters",
                                          "Hugging Face meta-llama/Llama-3.2-3B", build),
};

}  // namespace ds::models::llama
