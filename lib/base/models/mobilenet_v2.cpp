#include <fmt/format.h>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::mobilenet_v2 {

struct Stage {
  int expansion, channels, blocks, stride;
};

// Table 2 of the paper.
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

/// Inverted residual: 1x1 to more channels, depthwise 3x3 with the stride, 1x1 without activation.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, std::int64_t out, std::int64_t stride, std::int64_t expansion) {
  const std::int64_t width = channels(b, in), hidden = width * expansion;
  int layer = 0;
  graph::Value x = in;
  if (expansion != 1) x = conv_norm(b, fmt::format("{}.conv.{}", name, layer++), x, hidden, 1, 1, "relu6");
  x = conv_norm(b, fmt::format("{}.conv.{}", name, layer++), x, hidden, 3, stride, "relu6", {}, hidden);
  x = b.conv2d(fmt::format("{}.conv.{}", name, layer++), x, out, 1, 1, 0, false);
  x = b.batch_norm2d(fmt::format("{}.conv.{}", name, layer), x);
  return stride == 1 && width == out ? residual(b, name, in, x) : x;
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const ArchOptions&>(base);
  graph::Builder b;
  graph::Value x = conv_norm(b, "features.0", image(b, o), 32, 3, 2, "relu6");
  int layer = 1;
  for (const Stage& s : kStages)
    for (int i = 0; i < s.blocks; ++i) x = block(b, fmt::format("features.{}", layer++), x, s.channels, i == 0 ? s.stride : 1, s.expansion);
  x = conv_norm(b, fmt::format("features.{}", layer), x, 1280, 1, 1, "relu6");
  x = dropout(b, "classifier.0", pooled(b, x), o, 0.2);
  b.output("logits", b.linear("classifier.1", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  init_normal(graph, "linear", 0.01);
  init_zero_biases(graph, "linear");
  return graph;
}

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<ArchOptions>("mobilenet_v2", "inverted residuals with depthwise convolutions: 3.5 million parameters for 1,000 classes",
                                    "Sandler et al. 2018, arXiv:1801.04381, table 2", build),
};

}  // namespace ds::models::mobilenet_v2
