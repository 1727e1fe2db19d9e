#include <fmt/format.h>

#include <array>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::convnext {

struct Options : ArchOptions {
  std::int64_t width = 0;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "width", .doc = "channels of the first stage; 0 = as the size has", .min = 0, .max = 4096}, width);
  }
};

struct Size {
  int width;                  ///< channels of the first stage; each further one has twice as many
  std::array<int, 4> blocks;  ///< a stage
  double drop_path;           ///< of the last block; it grows evenly
};

/// LayerNorm over the channels of [N, C, H, W].
graph::Value norm2d(graph::Builder& b, const std::string& name, const graph::Value& x) {
  const graph::Value y = b.layer_norm(name, b.node("permute", name + ".to_last", {x}, {{"dims", {0, 2, 3, 1}}}), 1e-6);
  return b.node("permute", name + ".to_first", {y}, {{"dims", {0, 3, 1, 2}}});
}

/// Depthwise 7x7, then an MLP of four times the features over the channels of each pixel, scaled a channel.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, double drop) {
  const std::int64_t n = channels(b, in);
  graph::Value x = b.conv2d(name + ".block.0", in, n, 7, 1, 3, true, n);
  x = b.layer_norm(name + ".block.2", b.node("permute", name + ".block.1", {x}, {{"dims", {0, 2, 3, 1}}}), 1e-6);
  x = b.linear(name + ".block.5", b.gelu(name + ".block.4", b.linear(name + ".block.3", x, 4 * n)), n);
  x = b.node("permute", name + ".block.6", {x}, {{"dims", {0, 3, 1, 2}}});
  const std::string scale = name + ".layer_scale";
  b.tensor({.name = scale, .shape = {n, 1, 1}, .init = {{"kind", "constant"}, {"value", 1e-6}}});
  x = b.node("mul", name + ".scaled", {b.node("tensor", scale, {}, graph::Json::object(), {{"value", {scale}}}), x});
  return residual(b, name, in, x, drop);
}

template <Size size>
graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  const std::int64_t width = o.width != 0 ? o.width : size.width;
  require_size(o, "convnext", 32);
  int total = 0, done = 0, layer = 1;
  for (const int n : size.blocks) total += n;
  graph::Builder b;
  graph::Value x = norm2d(b, "features.0.1", b.conv2d("features.0.0", image(b, o), width, 4, 4));
  for (std::size_t stage = 0; stage < 4; ++stage) {
    for (int i = 0; i < size.blocks[stage]; ++i, ++done) x = block(b, fmt::format("features.{}.{}", layer, i), x, size.drop_path * done / (total - 1));
    ++layer;
    if (stage == 3) break;
    x = b.conv2d(fmt::format("features.{}.1", layer), norm2d(b, fmt::format("features.{}.0", layer), x), width << (stage + 1), 2, 2);
    ++layer;
  }
  x = b.flatten("classifier.1", norm2d(b, "classifier.0", b.global_avg_pool("avgpool", x)));
  b.output("logits", b.linear("classifier.2", dropout(b, "dropout", x, o, 0), o.num_classes));
  graph::Graph graph = b.finish();
  for (const char* op : {"conv2d", "linear"}) {
    for (const graph::Node& node : graph.nodes)
      if (node.op == op) graph.find_tensor(node.slots.at("weight").tensor)->init = {{"kind", "truncated_normal"}, {"std", 0.02}};
    init_zero_biases(graph, op);
  }
  return graph;
}

constexpr const char* kSource = "Liu et al. 2022, arXiv:2201.03545, section 3 and table 9";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("convnext_tiny", "depthwise 7x7 convolutions and MLPs of the channels: 28.6 million parameters for 1,000 classes",
                                    kSource, build<Size{96, {3, 3, 9, 3}, 0.1}>),
    Architecture::make<Options>("convnext_small", "depthwise 7x7 convolutions and MLPs of the channels: 50.2 million parameters for 1,000 classes",
                                    kSource, build<Size{96, {3, 3, 27, 3}, 0.4}>),
    Architecture::make<Options>("convnext_base", "depthwise 7x7 convolutions and MLPs of the channels: 88.6 million parameters for 1,000 classes",
                                    kSource, build<Size{128, {3, 3, 27, 3}, 0.5}>),
    Architecture::make<Options>("convnext_large", "depthwise 7x7 convolutions and MLPs of the channels: 197.8 million parameters for 1,000 classes",
                                    kSource, build<Size{192, {3, 3, 27, 3}, 0.5}>),
};

}  // namespace ds::models::convnext
