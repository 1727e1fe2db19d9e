#include <fmt/format.h>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::deit {

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
    if (dim % heads != 0) throw Error(Exit::kUsage, "model.dim", fmt::format("is {}, expected a multiple of model.heads ({})", dim, heads));
    require_patches(*this, patch_size);
  }
};

template <int features, int attention_heads>
struct Sized : Options {
  Sized() { dim = features, heads = attention_heads, mlp_dim = 4 * features; }
};

/// A parameter that several nodes read, or none that makes it by its schema; timm draws it from a cut normal distribution.
void add_tensor(graph::Builder& b, const std::string& name, std::vector<std::int64_t> shape) {
  b.tensor({.name = name, .shape = std::move(shape), .init = {{"kind", "truncated_normal"}, {"std", 0.02}}});
}

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Options& o) {
  const std::string attn = name + ".attn";
  add_tensor(b, attn + ".qkv.weight", {3 * o.dim, o.dim});
  add_tensor(b, attn + ".qkv.bias", {3 * o.dim});
  const auto qkv = packed_qkv(b, attn + ".", b.layer_norm(name + ".norm1", in, 1e-6), o.dim, attn + ".qkv.weight", attn + ".qkv.bias");
  graph::Value x = b.linear(attn + ".proj", b.node("attention", attn + ".attention", qkv, {{"heads", o.heads}}), o.dim);
  const graph::Value middle = b.add(name + ".add1", in, dropout(b, attn + ".proj_drop", x, o, 0));
  x = b.linear(name + ".mlp.fc1", b.layer_norm(name + ".norm2", middle, 1e-6), o.mlp_dim);
  x = dropout(b, name + ".mlp.drop1", b.gelu(name + ".mlp.act", x), o, 0);
  x = dropout(b, name + ".mlp.drop2", b.linear(name + ".mlp.fc2", x, o.dim), o, 0);
  return b.add(name + ".add2", middle, x);
}

/// timm's initialisers: matrices and tokens from a cut normal distribution, biases from 0.
void initialise(graph::Graph& graph) {
  for (graph::TensorSpec& t : graph.tensors) {
    if (t.name.starts_with("patch_embed.") || t.name.find("norm") != std::string::npos) continue;
    if (t.name == "cls_token") t.init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 1e-6}};
    else if (t.shape.size() > 1) t.init = {{"kind", "truncated_normal"}, {"std", 0.02}};
    else t.init = {{"kind", "zeros"}};
  }
}

/// The mean of the scores of the class token and of the distillation token (section 4, "Classification with our approach").
graph::Value mean_of(graph::Builder& b, const std::vector<graph::Value>& scores) {
  std::vector<graph::Value> rows;
  for (const graph::Value& score : scores) rows.push_back(b.node("reshape", score + ".row", {score}, {{"shape", {0, 1, -1}}}));
  return b.node("mean", "mean", {b.node("concat", "both", rows, {{"axis", 1}})}, {{"axes", {1}}});
}

graph::Graph make(const core::Options& base, bool distilled) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  const graph::Value in = image(b, o);
  std::vector<graph::Value> tokens;
  for (const char* name : {"cls_token", "dist_token"}) {
    if (!distilled && tokens.size() == 1) break;
    add_tensor(b, name, {1, 1, o.dim});
    tokens.push_back(b.node("tensor", name, {in}, graph::Json::object(), {{"value", {name}}}));
  }
  const auto prefix = static_cast<std::int64_t>(tokens.size()), patches = (o.height / o.patch_size) * (o.width_px / o.patch_size);
  add_tensor(b, "pos_embed", {1, patches + prefix, o.dim});
  tokens.push_back(patch_tokens(b, "patch_embed.proj", in, o.dim, o.patch_size));
  graph::Value x = b.node("concat", "tokens", tokens, {{"axis", 1}});
  x = b.add("pos_add", x, b.node("tensor", "pos_embed", {}, graph::Json::object(), {{"value", {"pos_embed"}}}));
  x = dropout(b, "pos_drop", x, o, 0);
  for (std::int64_t i = 0; i < o.depth; ++i) x = block(b, fmt::format("blocks.{}", i), x, o);
  x = b.layer_norm("norm", x, 1e-6);
  std::vector<graph::Value> scores;
  for (std::int64_t i = 0; i < prefix; ++i) {
    const std::string head = i == 0 ? "head" : "head_dist";
    const graph::Value token = b.node("select", head + ".token", {x}, {{"axis", 1}, {"index", i}});
    scores.push_back(b.linear(head, dropout(b, head + ".drop", token, o, 0), o.num_classes));
  }
  b.output("logits", distilled ? mean_of(b, scores) : scores[0]);
  graph::Graph graph = b.finish();
  initialise(graph);
  return graph;
}

template <bool distilled>
graph::Graph build(const core::Options& options) {
  return make(options, distilled);
}

constexpr const char* kSource = "Touvron et al. 2021, arXiv:2012.12877, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<192, 3>>("deit_tiny_patch16_224", "vision transformer of 192 features and 3 heads: 5.7 million parameters", kSource,
                                      build<false>),
    Architecture::make<Sized<384, 6>>("deit_small_patch16_224", "vision transformer of 384 features and 6 heads: 22.1 million parameters", kSource,
                                      build<false>),
    Architecture::make<Sized<768, 12>>("deit_base_patch16_224", "vision transformer of 768 features and 12 heads: 86.6 million parameters", kSource,
                                       build<false>),
    Architecture::make<Sized<192, 3>>("deit_tiny_distilled_patch16_224", "deit_tiny with a second token and head that were trained on a teacher: 5.9 million "
                                      "parameters", kSource, build<true>),
    Architecture::make<Sized<384, 6>>("deit_small_distilled_patch16_224", "deit_small with a second token and head that were trained on a teacher: 22.4 "
                                      "million parameters", kSource, build<true>),
    Architecture::make<Sized<768, 12>>("deit_base_distilled_patch16_224", "deit_base with a second token and head that were trained on a teacher: 87.3 "
                                       "million parameters", kSource, build<true>),
};

}  // namespace ds::models::deit
