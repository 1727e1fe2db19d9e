#include <fmt/format.h>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::cnn {

struct Options : ArchOptions {
  std::int64_t width = 32;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "width", .doc = "channels of the first two convolutions; the later three have twice as many", .min = 1, .max = 4096}, width);
  }
};

/// Pooling comes right after the first convolution: that halves the work, to 9.3 million multiply-accumulates on 28x28.
graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  require_size(o, "cnn", 4);
  graph::Builder b;
  const auto block = [&](int i, const graph::Value& x, std::int64_t channels) {
    const graph::Value y = b.conv2d(fmt::format("conv{}", i), x, channels, 3, 1, 1, false);
    return b.relu(fmt::format("relu{}", i), b.batch_norm2d(fmt::format("bn{}", i), y));
  };
  graph::Value x = b.max_pool2d("pool1", block(1, image(b, o), o.width), 2, 2);
  x = block(3, block(2, x, o.width), 2 * o.width);
  x = b.max_pool2d("pool2", x, 2, 2);
  x = block(5, block(4, x, 2 * o.width), 2 * o.width);
  x = b.flatten("flatten", b.global_avg_pool("pool3", x));
  x = dropout(b, "dropout", x, o, 0.3);
  b.output("logits", b.linear("fc", x, o.num_classes));
  return b.finish();
}

const Architecture entry = Architecture::make<Options>(
    "cnn", "five 3x3 convolutions with batch norm, two poolings: 102,826 parameters for 10 classes of 1x28x28", "", build, Usual{28, 1, 10});

}  // namespace ds::models::cnn
