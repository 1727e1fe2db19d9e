#include <fmt/format.h>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::alexnet {

struct Options : ArchOptions {
  std::int64_t hidden_features = 4096;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "hidden_features", .doc = "features of the two hidden linear layers", .min = 1, .max = 1 << 20}, hidden_features);
  }
};

/// The net of the second paper, in one column, as torchvision has it.
graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  graph::Value x = image(b, o);
  int i = 0;  // place in torchvision's `features`
  const auto conv = [&](std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
    const graph::Value y = b.conv2d(fmt::format("features.{}", i++), x, out, kernel, stride, padding);
    x = b.relu(fmt::format("features.{}", i++), y);
  };
  const auto pool = [&] { x = b.max_pool2d(fmt::format("features.{}", i++), x, 3, 2); };
  conv(64, 11, 4, 2);
  pool();
  conv(192, 5, 1, 2);
  pool();
  conv(384, 3, 1, 1);
  conv(256, 3, 1, 1);
  conv(256, 3, 1, 1);
  pool();
  x = b.flatten("flatten", adaptive_avg_pool(b, "avgpool", x, 6));
  x = b.relu("classifier.2", b.linear("classifier.1", dropout(b, "classifier.0", x, o, 0.5), o.hidden_features));
  x = b.relu("classifier.5", b.linear("classifier.4", dropout(b, "classifier.3", x, o, 0.5), o.hidden_features));
  b.output("logits", b.linear("classifier.6", x, o.num_classes));
  return b.finish();
}

const Architecture entry = Architecture::make<Options>(
    "alexnet", "five convolutions and three linear layers: 61.1 million parameters for 1,000 classes; images of 63x63 or more",
    "Krizhevsky 2014, arXiv:1404.5997", build);

}  // namespace ds::models::alexnet
