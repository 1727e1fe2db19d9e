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

struct Size {
  std::array<int, 4> depths;     ///< blocks a stage
  bool bottleneck;
  int groups = 1, group_width = 64;  ///< of the 3x3 convolution of a bottleneck; channels of a group in the first stage
};

/// The residual block `name`: two 3x3 convolutions, or 1x1, 3x3 (with the stride and the groups) and 1x1 of four times the channels.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, std::int64_t channels, std::int64_t stride, const Size& size) {
  const bool bottleneck = size.bottleneck;
  const std::int64_t out = bottleneck ? 4 * channels : channels, inner = channels * size.group_width / 64 * size.groups;
  const auto norm = [&](int i, const graph::Value& x) { return b.batch_norm2d(fmt::format("{}.bn{}", name, i), x); };
  const auto conv = [&](int i, const graph::Value& x, std::int64_t n, std::int64_t kernel, std::int64_t s, std::int64_t groups = 1) {
    return norm(i, b.conv2d(fmt::format("{}.conv{}", name, i), x, n, kernel, s, kernel / 2, false, groups));
  };
  graph::Value x = in;
  if (bottleneck) {
    x = b.relu(name + ".relu1", conv(1, x, inner, 1, 1));
    x = b.relu(name + ".relu2", conv(2, x, inner, 3, stride, size.groups));
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

graph::Graph make(const core::Options& base, const Size& size) {
  const auto& o = static_cast<const Options&>(base);
  const bool cifar = o.stem == "cifar";
  graph::Builder b;
  graph::Value x = image(b, o);
  x = cifar ? b.conv2d("conv1", x, o.width, 3, 1, 1, false) : b.conv2d("conv1", x, o.width, 7, 2, 3, false);
  x = b.relu("relu", b.batch_norm2d("bn1", x));
  if (!cifar) x = b.max_pool2d("maxpool", x, 3, 2, 1);
  for (std::size_t stage = 0; stage < size.depths.size(); ++stage) {
    for (int i = 0; i < size.depths[stage]; ++i) {
      x = block(b, fmt::format("layer{}.{}", stage + 1, i), x, o.width << stage, i == 0 && stage > 0 ? 2 : 1, size);
    }
  }
  x = b.flatten("flatten", b.global_avg_pool("avgpool", x));
  x = dropout(b, "dropout", x, o, 0);
  b.output("logits", b.linear("fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  return graph;
}

template <Size size>
graph::Graph build(const core::Options& options) {
  return make(options, size);
}

constexpr const char* kSource = "He et al. 2015, arXiv:1512.03385, table 1; stride in the 3x3 convolution as in torchvision";
constexpr const char* kWide = "Zagoruyko & Komodakis 2016, arXiv:1605.07146, section 2.1";
constexpr const char* kNext = "Xie et al. 2017, arXiv:1611.05431, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("resnet18", "residual net of 18 layers: 11.7 million parameters for 1,000 classes", kSource,
                                build<Size{{2, 2, 2, 2}, false}>),
    Architecture::make<Options>("resnet34", "residual net of 34 layers: 21.8 million parameters for 1,000 classes", kSource,
                                build<Size{{3, 4, 6, 3}, false}>),
    Architecture::make<Options>("resnet50", "residual net of 50 layers: 25.6 million parameters for 1,000 classes", kSource,
                                build<Size{{3, 4, 6, 3}, true}>),
    Architecture::make<Options>("resnet101", "residual net of 101 layers: 44.5 million parameters for 1,000 classes", kSource,
                                build<Size{{3, 4, 23, 3}, true}>),
    Architecture::make<Options>("resnet152", "residual net of 152 layers: 60.2 million parameters for 1,000 classes", kSource,
                                build<Size{{3, 8, 36, 3}, true}>),
    Architecture::make<Options>("wide_resnet50_2", "resnet50 with twice the channels in its 3x3 convolutions: 68.9 million parameters for 1,000 classes",
                                kWide, build<Size{{3, 4, 6, 3}, true, 1, 128}>),
    Architecture::make<Options>("wide_resnet101_2", "resnet101 with twice the channels in its 3x3 convolutions: 126.9 million parameters for 1,000 classes",
                                kWide, build<Size{{3, 4, 23, 3}, true, 1, 128}>),
    Architecture::make<Options>("resnext50_32x4d", "residual net of 50 layers, 3x3 convolutions in 32 groups: 25.0 million parameters for 1,000 classes",
                                kNext, build<Size{{3, 4, 6, 3}, true, 32, 4}>),
    Architecture::make<Options>("resnext101_32x8d", "residual net of 101 layers, 3x3 convolutions in 32 groups: 88.8 million parameters for 1,000 classes",
                                kNext, build<Size{{3, 4, 23, 3}, true, 32, 8}>),
    Architecture::make<Options>("resnext101_64x4d", "residual net of 101 layers, 3x3 convolutions in 64 groups: 83.5 million parameters for 1,000 classes",
                                kNext, build<Size{{3, 4, 23, 3}, true, 64, 4}>),
};

}  // namespace ds::models::resnet
