#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::efficientnet_lite {

struct Size {
  double width, depth, dropout;
};

struct Stage {
  int blocks, kernel, stride, expansion, in, out;
};

// efficientnet_b0's stages; the first and the last keep their one block in every size.
constexpr Stage kStages[] = {{1, 3, 1, 1, 32, 16},  {2, 3, 2, 6, 16, 24},   {2, 5, 2, 6, 24, 40},  {3, 3, 2, 6, 40, 80},
                             {3, 5, 1, 6, 80, 112}, {4, 5, 2, 6, 112, 192}, {1, 3, 1, 6, 192, 320}};

constexpr NormOptions kNorm{1e-3, 0.01};
constexpr double kDropPath = 0.2;

/// A convolution whose output is ceil(size / stride): TensorFlow's SAME, where the odd row or column of padding comes at the end.
graph::Value conv(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                  std::int64_t groups = 1) {
  std::int64_t before[2], after[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t size = b.type(x).dims[2 + i].value(), missing = std::max<std::int64_t>(((size + stride - 1) / stride - 1) * stride + kernel - size, 0);
    before[i] = missing / 2, after[i] = missing - missing / 2;
  }
  graph::Json attrs = {{"out_channels", out}, {"kernel", {kernel, kernel}}};
  if (stride != 1) attrs["stride"] = {stride, stride};
  if (before[0] != after[0] || before[1] != after[1]) attrs["padding"] = {before[0], before[1], after[0], after[1]};
  else if (before[0] + before[1] != 0) attrs["padding"] = {before[0], before[1]};
  if (groups != 1) attrs["groups"] = groups;
  return b.node("conv2d", name, {x}, std::move(attrs), {}, {"bias"});
}

graph::Value norm(graph::Builder& b, const std::string& name, const graph::Value& x) { return b.batch_norm2d(name, x, kNorm.eps, kNorm.momentum); }

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Stage& s, std::int64_t out, std::int64_t stride, double drop) {
  const std::int64_t width = channels(b, in), hidden = width * s.expansion;
  graph::Value x = in;
  if (s.expansion != 1) x = b.node("relu6", name + "._swish0", {norm(b, name + "._bn0", conv(b, name + "._expand_conv", x, hidden, 1, 1))});
  x = b.node("relu6", name + "._swish1", {norm(b, name + "._bn1", conv(b, name + "._depthwise_conv", x, hidden, s.kernel, stride, hidden))});
  x = norm(b, name + "._bn2", conv(b, name + "._project_conv", x, out, 1, 1));
  return stride == 1 && width == out ? residual(b, name, in, x, drop) : x;
}

template <Size size>
graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const ArchOptions&>(base);
  const auto blocks = [](const Stage& s) { return s.blocks == 1 ? 1 : static_cast<int>(std::ceil(s.blocks * size.depth)); };
  int total = 0, done = 0;
  for (const Stage& s : kStages) total += blocks(s);
  graph::Builder b;
  graph::Value x = b.node("relu6", "_swish0", {norm(b, "_bn0", conv(b, "_conv_stem", image(b, o), 32, 3, 2))});
  for (const Stage& s : kStages)
    for (int i = 0; i < blocks(s); ++i, ++done)
      x = block(b, fmt::format("_blocks.{}", done), x, s, make_divisible(s.out * size.width), i == 0 ? s.stride : 1, kDropPath * done / total);
  x = b.node("relu6", "_swish1", {norm(b, "_bn1", conv(b, "_conv_head", x, 1280, 1, 1))});
  x = dropout(b, "_dropout", pooled(b, x), o, size.dropout);
  b.output("logits", b.linear("_fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  return graph;
}

constexpr const char* kSource = "Liu 2020, \"Higher accuracy on vision models with EfficientNet-Lite\"; names and padding of efficientnet_lite_pytorch 0.1.0";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<ArchOptions>("efficientnet_lite0", "efficientnet_b0 with ReLU6 and no squeeze-and-excitation: 4.7 million parameters for 1,000 classes",
                                    kSource, build<Size{1.0, 1.0, 0.2}>),
    Architecture::make<ArchOptions>("efficientnet_lite1", "efficientnet_lite0 1.1 times as deep, for 240x240 images: 5.4 million parameters for 1,000 classes",
                                    kSource, build<Size{1.0, 1.1, 0.2}>, Usual{240}),
    Architecture::make<ArchOptions>(
        "efficientnet_lite2", "efficientnet_lite0 1.1 times as wide, 1.2 as deep, for 260x260 images: 6.1 million parameters for 1,000 classes", kSource,
        build<Size{1.1, 1.2, 0.3}>, Usual{260}),
    Architecture::make<ArchOptions>(
        "efficientnet_lite3", "efficientnet_lite0 1.2 times as wide, 1.4 as deep, for 280x280 images: 8.2 million parameters for 1,000 classes", kSource,
        build<Size{1.2, 1.4, 0.3}>, Usual{280}),
    Architecture::make<ArchOptions>(
        "efficientnet_lite4", "efficientnet_lite0 1.4 times as wide, 1.8 as deep, for 300x300 images: 13.0 million parameters for 1,000 classes", kSource,
        build<Size{1.4, 1.8, 0.3}>, Usual{300}),
};

}  // namespace ds::models::efficientnet_lite
