#include <fmt/format.h>

#include <cmath>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::mlp_mixer {

struct Options : ArchOptions {
  std::int64_t patch_size = 16, dim = 512, depth = 8;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "patch_size", .doc = "side of a patch; must divide the image's sides", .min = 1, .max = 1024, .unit = "pixels"}, patch_size);
    f.add({.name = "dim", .doc = "features of a token; the MLPs have half as many for tokens and four times as many for channels", .min = 2, .max = 65536},
          dim);
    f.add({.name = "depth", .doc = "blocks", .min = 1, .max = 512}, depth);
  }
  void check() const override { require_patches(*this, patch_size); }
};

template <int patch, int features, int blocks>
struct Sized : Options {
  Sized() { patch_size = patch, dim = features, depth = blocks; }
};

/// Two linears with GELU between over the last axis, which keeps its size.
graph::Value mlp(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t hidden, const Options& o) {
  const std::int64_t size = b.type(x).dims.back().value();
  const graph::Value h = dropout(b, name + ".drop1", b.gelu(name + ".act", b.linear(name + ".fc1", x, hidden)), o, 0);
  return dropout(b, name + ".drop2", b.linear(name + ".fc2", h, size), o, 0);
}

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Options& o) {
  const auto turned = [&](const char* what, const graph::Value& x) { return b.node("permute", name + what, {x}, {{"dims", {0, 2, 1}}}); };
  const graph::Value tokens = turned(".to_tokens", b.layer_norm(name + ".norm1", in, 1e-6));
  const graph::Value middle = b.add(name + ".add1", in, turned(".to_channels", mlp(b, name + ".mlp_tokens", tokens, o.dim / 2, o)));
  return b.add(name + ".add2", middle, mlp(b, name + ".mlp_channels", b.layer_norm(name + ".norm2", middle, 1e-6), 4 * o.dim, o));
}

/// timm's initialisers.
void initialise(graph::Graph& graph, const Options& o) {
  for (graph::TensorSpec& t : graph.tensors) {
    const bool matrix = t.shape.size() > 1;
    if (t.name.starts_with("head.") || t.name == "stem.proj.bias") t.init = {{"kind", "zeros"}};
    else if (t.name == "stem.proj.weight")
      t.init = {{"kind", "truncated_normal"}, {"std", std::sqrt(1.0 / static_cast<double>(o.in_channels * o.patch_size * o.patch_size)) / 0.87962566103423978}};
    else if (t.name.find(".mlp_") != std::string::npos && matrix) t.init = {{"kind", "xavier_uniform"}, {"fan_in", t.shape[1]}, {"fan_out", t.shape[0]}};
    else if (t.name.find(".mlp_") != std::string::npos) t.init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 1e-6}};
  }
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  graph::Value x = patch_tokens(b, "stem.proj", image(b, o), o.dim, o.patch_size);
  for (std::int64_t i = 0; i < o.depth; ++i) x = block(b, fmt::format("blocks.{}", i), x, o);
  x = b.node("mean", "mean", {b.layer_norm("norm", x, 1e-6)}, {{"axes", {1}}});
  b.output("logits", b.linear("head", dropout(b, "head_drop", x, o, 0), o.num_classes));
  graph::Graph graph = b.finish();
  initialise(graph, o);
  return graph;
}

const Usual kUsual{.centred = true};

constexpr const char* kSource = "Tolstikhin et al. 2021, arXiv:2105.01601, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<32, 512, 8>>("mixer_s32_224", "8 blocks of MLPs over patches of 32x32 and channels: 19.1 million parameters", kSource,
                                          build, kUsual),
    Architecture::make<Sized<16, 512, 8>>("mixer_s16_224", "8 blocks of MLPs over patches of 16x16 and channels: 18.5 million parameters", kSource,
                                          build, kUsual),
    Architecture::make<Sized<32, 768, 12>>("mixer_b32_224", "12 blocks of MLPs over patches of 32x32 and channels: 60.3 million parameters", kSource,
                                          build, kUsual),
    Architecture::make<Sized<16, 768, 12>>("mixer_b16_224", "12 blocks of MLPs over patches of 16x16 and channels: 59.9 million parameters", kSource,
                                          build, kUsual),
    Architecture::make<Sized<32, 1024, 24>>("mixer_l32_224", "24 blocks of MLPs over patches of 32x32 and channels: 207 million parameters", kSource,
                                          build, kUsual),
    Architecture::make<Sized<16, 1024, 24>>("mixer_l16_224", "24 blocks of MLPs over patches of 16x16 and channels: 208 million parameters", kSource,
                                          build, kUsual),
};

}  // namespace ds::models::mlp_mixer
