#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::vit {

struct Options : ArchOptions {
  std::int64_t patch_size = 16, dim = 192, depth = 12, heads = 3, mlp_dim = 768;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "patch_size", .doc = "side of a patch; must divide the image's sides", .min = 1, .max = 1024, .unit = "pixels"}, patch_size);
    f.add({.name = "dim", .doc = "features of a token; must be a multiple of heads", .min = 1, .max = 65536}, dim);
    f.add({.name = "depth", .doc = "encoder layers", .min = 1, .max = 512}, depth);
    f.add({.name = "heads", .doc = "attention heads", .min = 1, .max = 1024}, heads);
    f.add({.name = "mlp_dim", .doc = "hidden features of each MLP", .min = 1, .max = 1 << 20}, mlp_dim);
  }
  void check() const override {
    if (dim % heads != 0)
      throw Error(Exit::kUsage, "model.dim", fmt::format("is {}, expected a multiple of model.heads ({})", dim, heads));
    require_patches(*this, patch_size);
  }
};

/// The sizes that torchvision has; those of Options are the tiny one's.
template <int patch, int features, int layers, int attention_heads>
struct Sized : Options {
  Sized() { patch_size = patch, dim = features, depth = layers, heads = attention_heads, mlp_dim = 4 * features; }
};

graph::Json constant(const char* kind) { return {{"kind", kind}}; }
graph::Json normal(double std) { return {{"kind", "normal"}, {"mean", 0.0}, {"std", std}}; }
graph::Json xavier(std::int64_t in, std::int64_t out) { return {{"kind", "xavier_uniform"}, {"fan_in", in}, {"fan_out", out}}; }

/// torchvision's initialisers, where they differ from those of the ops.
void initialise(graph::Graph& graph, const Options& o) {
  const std::int64_t fan_in = o.in_channels * o.patch_size * o.patch_size;
  for (graph::TensorSpec& t : graph.tensors) {
    const auto ends = [&](const char* end) { return t.name.ends_with(end); };
    if (t.name == "conv_proj.weight") t.init = {{"kind", "truncated_normal"}, {"std", std::sqrt(1.0 / static_cast<double>(fan_in))}};
    else if (t.name.starts_with("heads.head.") || t.name == "conv_proj.bias" || ends("out_proj.bias")) t.init = constant("zeros");
    else if (ends("mlp.0.weight") || ends("mlp.3.weight")) t.init = xavier(t.shape[1], t.shape[0]);
    else if (ends("mlp.0.bias") || ends("mlp.3.bias")) t.init = normal(1e-6);
  }
}

/// Multi-head self-attention whose projections are rows of one tensor, as in torch.nn.MultiheadAttention.
graph::Value self_attention(graph::Builder& b, const std::string& name, const graph::Value& x, const Options& o) {
  b.tensor({.name = name + ".in_proj_weight", .shape = {3 * o.dim, o.dim}, .init = xavier(o.dim, 3 * o.dim)});
  b.tensor({.name = name + ".in_proj_bias", .shape = {3 * o.dim}, .init = constant("zeros")});
  const auto qkv = packed_qkv(b, name + ".in_proj_", x, o.dim, name + ".in_proj_weight", name + ".in_proj_bias");
  return b.linear(name + ".out_proj", b.node("attention", name + ".attention", qkv, {{"heads", o.heads}}), o.dim);
}

graph::Value encoder_layer(graph::Builder& b, const std::string& name, const graph::Value& in, const Options& o) {
  graph::Value x = self_attention(b, name + ".self_attention", b.layer_norm(name + ".ln_1", in, 1e-6), o);
  const graph::Value middle = b.add(name + ".add_1", dropout(b, name + ".dropout", x, o, 0), in);
  x = b.linear(name + ".mlp.0", b.layer_norm(name + ".ln_2", middle, 1e-6), o.mlp_dim);
  x = dropout(b, name + ".mlp.2", b.gelu(name + ".mlp.1", x), o, 0);
  x = dropout(b, name + ".mlp.4", b.linear(name + ".mlp.3", x, o.dim), o, 0);
  return b.add(name + ".add_2", middle, x);
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  const std::int64_t tokens = (o.height / o.patch_size) * (o.width_px / o.patch_size);
  graph::Builder b;
  const graph::Value in = image(b, o);
  b.tensor({.name = "class_token", .shape = {1, 1, o.dim}, .init = constant("zeros")});
  b.tensor({.name = "encoder.pos_embedding", .shape = {1, tokens + 1, o.dim}, .init = normal(0.02)});
  const graph::Value token = b.node("tensor", "class_token", {in}, graph::Json::object(), {{"value", {"class_token"}}});
  graph::Value x = patch_tokens(b, "conv_proj", in, o.dim, o.patch_size);
  x = b.node("concat", "tokens", {token, x}, {{"axis", 1}});
  x = b.add("encoder.add", x, b.node("tensor", "encoder.pos_embedding", {}, graph::Json::object(), {{"value", {"encoder.pos_embedding"}}}));
  x = dropout(b, "encoder.dropout", x, o, 0);
  for (std::int64_t i = 0; i < o.depth; ++i) x = encoder_layer(b, fmt::format("encoder.layers.encoder_layer_{}", i), x, o);
  x = b.layer_norm("encoder.ln", x, 1e-6);
  x = b.node("select", "class_features", {x}, {{"axis", 1}, {"index", 0}});
  b.output("logits", b.linear("heads.head", x, o.num_classes));
  graph::Graph graph = b.finish();
  initialise(graph, o);
  return graph;
}

constexpr const char* kSource = "Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1 and table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("vit_tiny", "vision transformer of 12 layers, 192 features and 3 heads: 5.7 million parameters for 224x224 images",
                                "Touvron et al. 2021, arXiv:2012.12877, table 1", build),
    Architecture::make<Sized<16, 768, 12, 12>>(
        "vit_b_16", "vision transformer of 12 layers, 768 features and 12 heads: 86.6 million parameters for 224x224 images", kSource, build),
    Architecture::make<Sized<32, 768, 12, 12>>("vit_b_32", "vit_b_16 with patches of 32x32 pixels: 88.2 million parameters for 224x224 images", kSource,
                                               build),
    Architecture::make<Sized<16, 1024, 24, 16>>(
        "vit_l_16", "vision transformer of 24 layers, 1024 features and 16 heads: 304 million parameters for 224x224 images", kSource, build),
    Architecture::make<Sized<32, 1024, 24, 16>>("vit_l_32", "vit_l_16 with patches of 32x32 pixels: 307 million parameters for 224x224 images", kSource,
                                                build),
    Architecture::make<Sized<14, 1280, 32, 16>>(
        "vit_h_14", "vision transformer of 32 layers, 1280 features and 16 heads: 632 million parameters for 224x224 images", kSource, build),
};

}  // namespace ds::models::vit
