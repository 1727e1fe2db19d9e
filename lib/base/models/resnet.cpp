#include <fmt/format.h>

#include <array>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::resnet {

struct Options : ArchOptions {
  std::string stem = "imagenet";
  std::int64_t width = 64;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "stem", .doc = "first layers: 7x7 of stride 2 and pooling, or 3x3 for small images", .choices = {"imagenet", "cifar"}}, stem);
    f.add({.name = "width", .doc = "channels of the first stage", .min = 1, .max = 4096}, width);
  }
};

using Depths = std::array<int, 4>;

/// The residual block `name`: two 3x3 convolutions, or 1x1, 3x3 (with the stride) and 1x1 of four times the channels.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, std::int64_t channels, std::int64_t stride, bool bottleneck) {
  const std::int64_t out = bottleneck ? 4 * channels : channels;
  const auto norm = [&](int i, const graph::Value& x) { return b.batch_norm2d(fmt::format("{}.bn{}", name, i), x); };
  const auto conv = [&](int i, const graph::Value& x, std::int64_t n, std::int64_t kernel, std::int64_t s) {
    return norm(i, b.conv2d(fmt::format("{}.conv{}", name, i), x, n, kernel, s, kernel / 2, false));
  };
  graph::Value x = in;
  if (bottleneck) {
    x = b.relu(name + ".relu1", conv(1, x, channels, 1, 1));
    x = b.relu(name + ".relu2", conv(2, x, channels, 3, stride));
    x = conv(3, x, out, 1, 1);
  } else {
    x = b.relu(name + ".relu1", conv(1, x, channels, 3, stride));
    x = conv(2, x, channels, 3, 1);
  }
  graph::Value identity = in;
  if (stride != 1 || b.type(in).dims[1].value() != out)
    identity = b.batch_norm2d(name + ".downsample.1", b.conv2d(name + ".downsample.0", in, out, 1, stride, 0, false));
  return b.relu(name + ".relu", b.add(name + ".add", x, identity));
}

graph::Graph make(const core::Options& base, const Depths& depths, bool bottleneck) {
  const auto& o = static_cast<const Options&>(base);
  const bool cifar = o.stem == "cifar";
  graph::Builder b;
  graph::Value x = image(b, o);
  x = cifar ? b.conv2d("conv1", x, o.width, 3, 1, 1, false) : b.conv2d("conv1", x, o.width, 7, 2, 3, false);
  x = b.relu("relu", b.batch_norm2d("bn1", x));
  if (!cifar) x = b.max_pool2d("maxpool", x, 3, 2, 1);
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    for (int i = 0; i < depths[stage]; ++i) {
      x = block(b, fmt::format("layer{}.{}", stage + 1, i), x, o.width << stage, i == 0 && stage > 0 ? 2 : 1, bottleneck);
    }
  }
  x = b.flatten("flatten", b.global_avg_pool("avgpool", x));
  x = dropout(b, "dropout", x, o, 0);
  b.output("logits", b.linear("fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  return graph;
}

template <int a, int b, int c, int d, bool bottleneck>
graph::Graph build(const core::Options& options) {
  return make(options, {a, b, c, d}, bottleneck);
}

constexpr const char* kSource = "He et al. 2015, arXiv:1512.03385, table 1; stride in the 3x3 convolution as in torchvision";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("resnet18", "residual net of 18 layers: 11.7 million parameters for 1,000 classes", kSource,
                                build<2, 2, 2, 2, false>),
    Architecture::make<Options>("resnet34", "residual net of 34 layers: 21.8 million parameters for 1,000 classes", kSource,
                                build<3, 4, 6, 3, false>),
    Architecture::make<Options>("resnet50", "residual net of 50 layers: 25.6 million parameters for 1,000 classes", kSource, build<3, 4, 6, 3, true>),
    Architecture::make<Options>("resnet101", "residual net of 101 layers: 44.5 million parameters for 1,000 classes", kSource,
                                build<3, 4, 23, 3, true>),
    Architecture::make<Options>("resnet152", "residual net of 152 layers: 60.2 million parameters for 1,000 classes", kSource,
                                build<3, 8, 36, 3, true>),
};

}  // namespace ds::models::resnet
