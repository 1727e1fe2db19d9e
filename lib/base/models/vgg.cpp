#include <fmt/format.h>

#include <array>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::vgg {

struct Options : ArchOptions {
  std::int64_t hidden_features = 4096;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "hidden_features", .doc = "features of the two hidden linear layers", .min = 1, .max = 1 << 20}, hidden_features);
  }
};

/// 3x3 convolutions of each of the five stages; a pooling that halves the image ends each.
using Depths = std::array<int, 5>;

graph::Graph make(const core::Options& base, const Depths& depths, bool norm) {
  const auto& o = static_cast<const Options&>(base);
  constexpr std::int64_t kChannels[] = {64, 128, 256, 512, 512};
  graph::Builder b;
  graph::Value x = image(b, o);
  int place = 0;  // in torchvision's `features`
  const auto name = [&] { return fmt::format("features.{}", place++); };
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    for (int i = 0; i < depths[stage]; ++i) {
      x = b.conv2d(name(), x, kChannels[stage], 3, 1, 1);
      if (norm) x = b.batch_norm2d(name(), x);
      x = b.relu(name(), x);
    }
    x = b.max_pool2d(name(), x, 2, 2);
  }
  x = b.flatten("flatten", adaptive_avg_pool(b, "avgpool", x, 7));
  x = dropout(b, "classifier.2", b.relu("classifier.1", b.linear("classifier.0", x, o.hidden_features)), o, 0.5);
  x = dropout(b, "classifier.5", b.relu("classifier.4", b.linear("classifier.3", x, o.hidden_features)), o, 0.5);
  b.output("logits", b.linear("classifier.6", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  init_normal(graph, "linear", 0.01);
  init_zero_biases(graph, "conv2d");
  init_zero_biases(graph, "linear");
  return graph;
}

template <Depths depths, bool norm>
graph::Graph build(const core::Options& options) {
  return make(options, depths, norm);
}

constexpr Depths k11 = {1, 1, 2, 2, 2}, k13 = {2, 2, 2, 2, 2}, k16 = {2, 2, 3, 3, 3}, k19 = {2, 2, 4, 4, 4};
constexpr const char* kSource = "Simonyan & Zisserman 2014, arXiv:1409.1556, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("vgg11", "3x3 convolutions in 11 layers: 132.9 million parameters for 1,000 classes", kSource, build<k11, false>),
    Architecture::make<Options>("vgg13", "3x3 convolutions in 13 layers: 133.0 million parameters for 1,000 classes", kSource, build<k13, false>),
    Architecture::make<Options>("vgg16", "3x3 convolutions in 16 layers: 138.4 million parameters for 1,000 classes", kSource, build<k16, false>),
    Architecture::make<Options>("vgg19", "3x3 convolutions in 19 layers: 143.7 million parameters for 1,000 classes", kSource, build<k19, false>),
    Architecture::make<Options>("vgg11_bn", "vgg11 with batch norm: 132.9 million parameters for 1,000 classes", kSource, build<k11, true>),
    Architecture::make<Options>("vgg13_bn", "vgg13 with batch norm: 133.1 million parameters for 1,000 classes", kSource, build<k13, true>),
    Architecture::make<Options>("vgg16_bn", "vgg16 with batch norm: 138.4 million parameters for 1,000 classes", kSource, build<k16, true>),
    Architecture::make<Options>("vgg19_bn", "vgg19 with batch norm: 143.7 million parameters for 1,000 classes", kSource, build<k19, true>),
};

}  // namespace ds::models::vgg
