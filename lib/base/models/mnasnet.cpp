#include <fmt/format.h>

#include <algorithm>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::mnasnet {

struct Options : ArchOptions {};

constexpr double kMomentum = 1 - 0.9997;  ///< of the stem's and the head's BatchNorm, and of all blocks'

struct Stage {
  int base, kernel, stride, expansion, blocks;  ///< channels at width 1.0
};
constexpr Stage kStages[] = {{24, 3, 2, 3, 3}, {40, 5, 2, 3, 3}, {80, 5, 2, 6, 3}, {96, 3, 1, 6, 2}, {192, 5, 2, 6, 4}, {320, 3, 1, 6, 1}};

/// `base` channels times `percent` %, as a multiple of 8 that is no more than a tenth below it.
std::int64_t scaled(int base, int percent) {
  const double wanted = base * percent / 100.0;
  const std::int64_t near = std::max<std::int64_t>(8, static_cast<std::int64_t>(wanted + 4) / 8 * 8);
  return static_cast<double>(near) >= 0.9 * wanted ? near : near + 8;
}

/// Convolutions with BatchNorm, numbered as torchvision's Sequential does: three places each with ReLU, two without.
struct Sequence {
  graph::Builder& b;
  std::string name;
  int place = 0;
  graph::Value conv(const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups, bool relu) {
    const auto next = [&] { return fmt::format("{}.{}", name, place++); };
    graph::Value y = b.conv2d(next(), x, out, kernel, stride, kernel / 2, false, groups);
    y = b.batch_norm2d(next(), y, 1e-5, kMomentum);
    return relu ? b.relu(next(), y) : y;
  }
};

/// 1x1 that expands, depthwise, 1x1 that projects; with a residual where the shape stays.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, std::int64_t out, const Stage& stage, bool first) {
  const std::int64_t channels = b.type(in).dims[1].value(), wide = channels * stage.expansion;
  Sequence layers{b, name + ".layers"};
  graph::Value x = layers.conv(in, wide, 1, 1, 1, true);
  x = layers.conv(x, wide, stage.kernel, first ? stage.stride : 1, wide, true);
  x = layers.conv(x, out, 1, 1, 1, false);
  return channels == out && !(first && stage.stride == 2) ? b.add(name + ".add", x, in) : x;
}

void initialise(graph::Graph& graph, std::int64_t classes) {
  init_convs_fan_out(graph);
  // kaiming_uniform over the fan-out with the gain of the sigmoid, which is 1: U(-sqrt(3 / fan_out), sqrt(3 / fan_out)).
  graph.find_tensor("classifier.1.weight")->init = {{"kind", "kaiming_uniform"}, {"a", 1.0}, {"fan_in", classes}};
  init_zero_biases(graph, "linear");
}

graph::Graph make(const core::Options& base, int percent) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  Sequence layers{b, "layers"};
  const std::int64_t stem = scaled(32, percent);
  graph::Value x = layers.conv(image(b, o), stem, 3, 2, 1, true);
  x = layers.conv(x, stem, 3, 1, stem, true);
  x = layers.conv(x, scaled(16, percent), 1, 1, 1, false);
  for (const Stage& stage : kStages) {
    const int place = layers.place++;
    for (int i = 0; i < stage.blocks; ++i) x = block(b, fmt::format("layers.{}.{}", place, i), x, scaled(stage.base, percent), stage, i == 0);
  }
  x = layers.conv(x, 1280, 1, 1, 1, true);
  x = b.flatten("flatten", b.global_avg_pool("avgpool", x));
  b.output("logits", b.linear("classifier.1", dropout(b, "classifier.0", x, o, 0.2), o.num_classes));
  graph::Graph graph = b.finish();
  initialise(graph, o.num_classes);
  return graph;
}

template <int percent>
graph::Graph build(const core::Options& options) {
  return make(options, percent);
}

constexpr const char* kSource = "Tan et al. 2019, arXiv:1807.11626, figure 7 (B1)";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("mnasnet0_5", "inverted residuals found by search, width 0.5: 2.2 million parameters for 1,000 classes", kSource, build<50>),
    Architecture::make<Options>("mnasnet0_75", "inverted residuals found by search, width 0.75: 3.2 million parameters for 1,000 classes", kSource,
                                build<75>),
    Architecture::make<Options>("mnasnet1_0", "inverted residuals found by search, width 1.0: 4.4 million parameters for 1,000 classes", kSource,
                                build<100>),
    Architecture::make<Options>("mnasnet1_3", "inverted residuals found by search, width 1.3: 6.3 million parameters for 1,000 classes", kSource,
                                build<130>),
};

}  // namespace ds::models::mnasnet
