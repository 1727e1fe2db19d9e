#include <fmt/format.h>

#include <cmath>

#include "base/models/parts.h"
#include "base/models/text.h"

namespace ds::models::t5 {

using graph::Builder;
using graph::Value;

/// Sizes of T5-base, 223 million parameters.
struct Options : TextOptions {
  std::int64_t dim = 768, depth = 12, decoder_depth = 0, heads = 12, head_dim = 64, mlp_dim = 3072, buckets = 32, max_distance = 128;
  bool gated = false, tie_weights = true;

  Options() { usual_vocab = 32128, head = "seq2seq-lm"; }
  Options(std::int64_t dim_, std::int64_t depth_, std::int64_t heads_, std::int64_t mlp_dim_) : Options() {
    dim = dim_, depth = depth_, heads = heads_, mlp_dim = mlp_dim_;
  }
  void fields(core::Fields& f) override {
    TextOptions::fields(f);
    add_head(f, {"seq2seq-lm"});
    f.add({.name = "dim", .doc = "features of a token", .min = 1, .max = 65536}, dim);
    f.add({.name = "depth", .doc = "layers of the encoder", .min = 1, .max = 512}, depth);
    f.add({.name = "decoder_depth", .doc = "layers of the decoder; 0 = as many as the encoder's", .min = 0, .max = 512}, decoder_depth);
    f.add({.name = "heads", .doc = "attention heads", .min = 1, .max = 1024}, heads);
    f.add({.name = "head_dim", .doc = "features of a head", .min = 1, .max = 65536}, head_dim);
    f.add({.name = "mlp_dim", .doc = "hidden features of each MLP", .min = 1, .max = 1 << 20}, mlp_dim);
    f.add({.name = "buckets", .doc = "ranges of distances that have a bias of their own", .min = 4, .max = 65536}, buckets);
    f.add({.name = "max_distance", .doc = "distance from which on all share one bias", .min = 2, .max = 1 << 24, .unit = "tokens"}, max_distance);
    f.add({.name = "gated", .doc = "MLPs of version 1.1: GELU, times a second linear layer; else ReLU"}, gated);
    f.add({.name = "tie_weights", .doc = "the output layer shares the embedding's weights"}, tie_weights);
  }
};

template <int features, int layers, int attention_heads, int hidden, bool version_1_1 = false>
struct Sized : Options {
  Sized() : Options(features, layers, attention_heads, hidden) { gated = version_1_1, tie_weights = !version_1_1; }
};

struct TinyOptions : Options {
  TinyOptions() : Options(64, 2, 4, 128) { head_dim = 16; }
};

Value norm(Builder& b, const std::string& name, const Value& x) { return b.node("rms_norm", name, {x}, {{"eps", 1e-6}}); }

/// What attention adds to its scores, and what keys it may see.
struct Bias {
  Value value;
  bool causal = false;
};

/// Scores are not divided by the root of a head's features: the initialiser of q does that.
Value attention(Builder& b, const std::string& name, const Value& x, const Value& source, const Bias& bias, const Options& o) {
  const std::int64_t inner = o.heads * o.head_dim;
  const Value q = b.linear(name + ".q", x, inner, false), k = b.linear(name + ".k", source, inner, false), v = b.linear(name + ".v", source, inner, false);
  graph::Json attrs = {{"heads", o.heads}, {"scale", 1.0}};
  if (bias.causal) attrs["causal"] = true;
  return b.linear(name + ".o", b.node("attention", name + ".attention", {q, k, v, bias.value}, std::move(attrs)), o.dim, false);
}

Value feed_forward(Builder& b, const std::string& name, const Value& x, const Options& o) {
  Value hidden;
  if (o.gated) {
    const Value gate = b.node("gelu", name + ".act", {b.linear(name + ".wi_0", x, o.mlp_dim, false)}, {{"approximate", "tanh"}});
    hidden = b.node("mul", name + ".gated", {gate, b.linear(name + ".wi_1", x, o.mlp_dim, false)});
  } else {
    hidden = b.relu(name + ".act", b.linear(name + ".wi", x, o.mlp_dim, false));
  }
  return b.linear(name + ".wo", dropout(b, name + ".dropout", hidden, o, 0.1), o.dim, false);
}

/// x + dropout(f), f being the layer behind the norm of x.
Value residual(Builder& b, const std::string& name, const Value& x, const Value& f, const Options& o) {
  return b.add(name + ".add", x, dropout(b, name + ".dropout", f, o, 0.1));
}

/// Biases by distance are those of the first layer in all layers of a stack.
Value relative_bias(Builder& b, const std::string& stack, const Value& x, bool bidirectional, const Options& o) {
  return b.node("relative_bias", stack + ".block.0.layer.0.SelfAttention.relative_attention_bias", {x, x},
                {{"heads", o.heads}, {"buckets", o.buckets}, {"max_distance", o.max_distance}, {"bidirectional", bidirectional}});
}

Value embed(Builder& b, const std::string& stack, const Value& ids, const Options& o) {
  const Value x = b.node("embedding", stack + ".embed_tokens", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}}, {{"weight", {"shared.weight"}}});
  return dropout(b, stack + ".dropout_1", x, o, 0.1);
}

Value finish(Builder& b, const std::string& stack, const Value& x, const Options& o) {
  return dropout(b, stack + ".dropout_2", norm(b, stack + ".final_layer_norm", x), o, 0.1);
}

Value encoder(Builder& b, const Value& ids, const Value& mask, const Options& o) {
  Value x = embed(b, "encoder", ids, o);
  const Bias bias{b.add("encoder.bias", relative_bias(b, "encoder", x, true, o), mask)};
  for (std::int64_t i = 0; i < o.depth; ++i) {
    const std::string self = fmt::format("encoder.block.{}.layer.0", i), mlp = fmt::format("encoder.block.{}.layer.1", i);
    const Value y = norm(b, self + ".layer_norm", x);
    x = residual(b, self, x, attention(b, self + ".SelfAttention", y, y, bias, o), o);
    x = residual(b, mlp, x, feed_forward(b, mlp + ".DenseReluDense", norm(b, mlp + ".layer_norm", x), o), o);
  }
  return finish(b, "encoder", x, o);
}

Value decoder(Builder& b, const Value& ids, const Value& encoded, const Value& mask, const Options& o) {
  Value x = embed(b, "decoder", ids, o);
  const Bias bias{relative_bias(b, "decoder", x, false, o), true};
  for (std::int64_t i = 0; i < (o.decoder_depth > 0 ? o.decoder_depth : o.depth); ++i) {
    const auto layer = [i](int k) { return fmt::format("decoder.block.{}.layer.{}", i, k); };
    const Value y = norm(b, layer(0) + ".layer_norm", x);
    x = residual(b, layer(0), x, attention(b, layer(0) + ".SelfAttention", y, y, bias, o), o);
    x = residual(b, layer(1), x, attention(b, layer(1) + ".EncDecAttention", norm(b, layer(1) + ".layer_norm", x), encoded, {mask}, o), o);
    x = residual(b, layer(2), x, feed_forward(b, layer(2) + ".DenseReluDense", norm(b, layer(2) + ".layer_norm", x), o), o);
  }
  return finish(b, "decoder", x, o);
}

/// Those of the authors' code, as Hugging Face has them: by the features that go in, and q by those of a head besides.
void initialise(graph::Graph& graph, const Options& o) {
  const auto inverse_root = [](std::int64_t n) { return 1 / std::sqrt(static_cast<double>(n)); };
  for (graph::TensorSpec& t : graph.tensors) {
    const auto ends = [&](const char* end) { return t.name.ends_with(end); };
    double std = inverse_root(o.dim);  // k, v, wi, the table of distances
    if (ends("norm.weight")) continue;
    if (t.name == "shared.weight" || t.name == "lm_head.weight") std = 1;
    else if (ends(".q.weight")) std = inverse_root(o.dim * o.head_dim);
    else if (ends("Attention.o.weight")) std = inverse_root(o.heads * o.head_dim);
    else if (ends(".wo.weight")) std = inverse_root(o.mlp_dim);
    t.init = {{"kind", "normal"}, {"mean", 0.0}, {"std", std}};
  }
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  Builder b;
  b.tensor({.name = "shared.weight", .shape = {o.vocab_size, o.dim}, .init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 1.0}}});
  const Value ids = token_input(b, "input_ids"), mask = b.node("key_mask", "mask", {token_input(b, "attention_mask")});
  const Value targets = b.input("decoder_input_ids", graph::DType::kI64, {graph::Dim::symbol("N"), graph::Dim::symbol("T")});
  Value x = decoder(b, targets, encoder(b, ids, mask, o), mask, o);
  std::map<std::string, graph::Slot> slots;
  if (o.tie_weights) {
    x = b.node("scale", "decoder.scale", {x}, {{"factor", 1 / std::sqrt(static_cast<double>(o.dim))}});
    slots["weight"] = {"shared.weight"};
  }
  b.output("logits", b.node("linear", "lm_head", {x}, {{"out_features", o.vocab_size}}, slots, {"bias"}));
  graph::Graph graph = b.finish();
  initialise(graph, o);
  return graph;
}

constexpr const char* kSource = "Raffel et al. 2019, arXiv:1910.10683, sections 2.1 and 3.7; Hugging Face T5ForConditionalGeneration";
constexpr const char* kSecond = "Shazeer 2020, arXiv:2002.05202; Hugging Face google/t5-v1_1-base, google/flan-t5-base";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<TinyOptions>("t5_tiny", "T5 of 2 + 2 layers, 64 features and 4 heads, for small data", kSource, build),
    Architecture::make<Sized<512, 6, 8, 2048>>("t5_small", "T5 of 6 + 6 layers, 512 features and 8 heads: 60.5 million parameters", kSource, build),
    Architecture::make<Options>("t5_base", "T5 of 12 + 12 layers, 768 features and 12 heads: 223 million parameters", kSource, build),
    Architecture::make<Sized<1024, 24, 16, 4096>>("t5_large", "T5 of 24 + 24 layers, 1024 features and 16 heads: 738 million parameters", kSource, build),
    Architecture::make<Sized<512, 8, 6, 1024, true>>("t5_v1_1_small", "T5 1.1, also Flan-T5, of 8 + 8 layers, 512 features and 6 heads: 77 million parameters",
                                                     kSecond, build),
    Architecture::make<Sized<768, 12, 12, 2048, true>>(
        "t5_v1_1_base", "T5 1.1, also Flan-T5, of 12 + 12 layers, 768 features and 12 heads: 248 million parameters", kSecond, build),
    Architecture::make<Sized<1024, 24, 16, 2816, true>>(
        "t5_v1_1_large", "T5 1.1, also Flan-T5, of 24 + 24 layers, 1024 features and 16 heads: 783 million parameters", kSecond, build),
};

}  // namespace ds::models::t5
