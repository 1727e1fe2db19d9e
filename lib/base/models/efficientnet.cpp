#include <fmt/format.h>

#include <cmath>
#include <span>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::efficientnet {

struct Stage {
  bool fused;  ///< one full convolution in the place of 1x1 and depthwise, and no squeeze-and-excitation
  int expansion, kernel, stride, in, out, blocks;
};

// Table 1 of the first paper.
constexpr Stage kB0[] = {{false, 1, 3, 1, 32, 16, 1}, {false, 6, 3, 2, 16, 24, 2},   {false, 6, 5, 2, 24, 40, 2}, {false, 6, 3, 2, 40, 80, 3},
                         {false, 6, 5, 1, 80, 112, 3}, {false, 6, 5, 2, 112, 192, 4}, {false, 6, 3, 1, 192, 320, 1}};
// Table 4 of the second paper, and the larger ones of its code.
constexpr Stage kV2S[] = {{true, 1, 3, 1, 24, 24, 2},    {true, 4, 3, 2, 24, 48, 4},    {true, 4, 3, 2, 48, 64, 4},
                          {false, 4, 3, 2, 64, 128, 6},  {false, 6, 3, 1, 128, 160, 9}, {false, 6, 3, 2, 160, 256, 15}};
constexpr Stage kV2M[] = {{true, 1, 3, 1, 24, 24, 3},     {true, 4, 3, 2, 24, 48, 5},     {true, 4, 3, 2, 48, 80, 5},    {false, 4, 3, 2, 80, 160, 7},
                          {false, 6, 3, 1, 160, 176, 14}, {false, 6, 3, 2, 176, 304, 18}, {false, 6, 3, 1, 304, 512, 5}};
constexpr Stage kV2L[] = {{true, 1, 3, 1, 32, 32, 4},      {true, 4, 3, 2, 32, 64, 7},      {true, 4, 3, 2, 64, 96, 7},    {false, 4, 3, 2, 96, 192, 10},
                          {false, 6, 3, 1, 192, 224, 19},  {false, 6, 3, 2, 224, 384, 25},  {false, 6, 3, 1, 384, 640, 7}};

struct Size {
  double width = 1, depth = 1, dropout = 0.2;
  NormOptions norm = {};
  std::int64_t last = 0;  ///< channels of the last convolution; 0 = four times those before
};

constexpr double kDropPath = 0.2;

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Stage& s, std::int64_t out, std::int64_t stride,
                   const NormOptions& norm, double drop) {
  const std::int64_t width = channels(b, in), hidden = make_divisible(static_cast<double>(width * s.expansion));
  int layer = 0;
  const auto part = [&] { return fmt::format("{}.block.{}", name, layer++); };
  graph::Value x = in;
  if (s.fused) {
    x = conv_norm(b, part(), x, hidden != width ? hidden : out, s.kernel, stride, "silu", norm);
    if (hidden != width) x = conv_norm(b, part(), x, out, 1, 1, "", norm);
  } else {
    if (hidden != width) x = conv_norm(b, part(), x, hidden, 1, 1, "silu", norm);
    x = conv_norm(b, part(), x, hidden, s.kernel, stride, "silu", norm, hidden);
    x = squeeze_excite(b, part(), x, std::max<std::int64_t>(1, width / 4), "silu", "sigmoid");
    x = conv_norm(b, part(), x, out, 1, 1, "", norm);
  }
  return stride == 1 && width == out ? residual(b, name, in, x, drop) : x;
}

graph::Graph make(const core::Options& base, std::span<const Stage> stages, const Size& size) {
  const auto& o = static_cast<const ArchOptions&>(base);
  const auto width = [&](int n) { return make_divisible(n * size.width); };
  const auto depth = [&](int n) { return static_cast<int>(std::ceil(n * size.depth)); };
  int total = 0, done = 0, layer = 1;
  for (const Stage& s : stages) total += depth(s.blocks);
  graph::Builder b;
  graph::Value x = conv_norm(b, "features.0", image(b, o), width(stages[0].in), 3, 2, "silu", size.norm);
  for (const Stage& s : stages) {
    for (int i = 0; i < depth(s.blocks); ++i, ++done)
      x = block(b, fmt::format("features.{}.{}", layer, i), x, s, width(s.out), i == 0 ? s.stride : 1, size.norm, kDropPath * done / total);
    ++layer;
  }
  x = conv_norm(b, fmt::format("features.{}", layer), x, size.last != 0 ? size.last : 4 * channels(b, x), 1, 1, "silu", size.norm);
  x = dropout(b, "classifier.0", pooled(b, x), o, size.dropout);
  b.output("logits", b.linear("classifier.1", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  init_zero_biases(graph, "conv2d");
  const double bound = 1 / std::sqrt(static_cast<double>(o.num_classes));
  graph.find_tensor("classifier.1.weight")->init = {{"kind", "uniform"}, {"a", -bound}, {"b", bound}};
  init_zero_biases(graph, "linear");
  return graph;
}

template <const auto& stages, Size size>
graph::Graph build(const core::Options& options) {
  return make(options, stages, size);
}

constexpr const char* kSource = "Tan & Le 2019, arXiv:1905.11946, table 1 and section 3.3";
constexpr const char* kSource2 = "Tan & Le 2021, arXiv:2104.00298, table 4";
constexpr NormOptions kLarge{1e-3, 0.01}, kV2{1e-3, 0.1};

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<ArchOptions>("efficientnet_b0", "inverted residuals with SiLU, made for 224x224 images: 5.3 million parameters for 1,000 classes",
                                    kSource, build<kB0, Size{1.0, 1.0, 0.2}>),
    Architecture::make<ArchOptions>("efficientnet_b1", "efficientnet_b0 1.1 times as deep, for 240x240 images: 7.8 million parameters for 1,000 classes",
                                    kSource, build<kB0, Size{1.0, 1.1, 0.2}>, Usual{240}),
    Architecture::make<ArchOptions>(
        "efficientnet_b2", "efficientnet_b0 1.1 times as wide, 1.2 as deep, for 260x260 images: 9.1 million parameters for 1,000 classes", kSource,
        build<kB0, Size{1.1, 1.2, 0.3}>, Usual{260}),
    Architecture::make<ArchOptions>(
        "efficientnet_b3", "efficientnet_b0 1.2 times as wide, 1.4 as deep, for 300x300 images: 12.2 million parameters for 1,000 classes", kSource,
        build<kB0, Size{1.2, 1.4, 0.3}>, Usual{300}),
    Architecture::make<ArchOptions>(
        "efficientnet_b4", "efficientnet_b0 1.4 times as wide, 1.8 as deep, for 380x380 images: 19.3 million parameters for 1,000 classes", kSource,
        build<kB0, Size{1.4, 1.8, 0.4}>, Usual{380}),
    Architecture::make<ArchOptions>(
        "efficientnet_b5", "efficientnet_b0 1.6 times as wide, 2.2 as deep, for 456x456 images: 30.4 million parameters for 1,000 classes", kSource,
        build<kB0, Size{1.6, 2.2, 0.4, kLarge}>, Usual{456}),
    Architecture::make<ArchOptions>(
        "efficientnet_b6", "efficientnet_b0 1.8 times as wide, 2.6 as deep, for 528x528 images: 43.0 million parameters for 1,000 classes", kSource,
        build<kB0, Size{1.8, 2.6, 0.5, kLarge}>, Usual{528}),
    Architecture::make<ArchOptions>(
        "efficientnet_b7", "efficientnet_b0 2.0 times as wide, 3.1 as deep, for 600x600 images: 66.3 million parameters for 1,000 classes", kSource,
        build<kB0, Size{2.0, 3.1, 0.5, kLarge}>, Usual{600}),
    Architecture::make<ArchOptions>("efficientnet_v2_s", "full convolutions early, for 384x384 images: 21.5 million parameters for 1,000 classes", kSource2,
                                    build<kV2S, Size{1.0, 1.0, 0.2, kV2, 1280}>, Usual{384}),
    Architecture::make<ArchOptions>("efficientnet_v2_m", "full convolutions early, for 480x480 images: 54.1 million parameters for 1,000 classes", kSource2,
                                    build<kV2M, Size{1.0, 1.0, 0.3, kV2, 1280}>, Usual{480}),
    Architecture::make<ArchOptions>("efficientnet_v2_l", "full convolutions early, for 480x480 images: 118.5 million parameters for 1,000 classes", kSource2,
                                    build<kV2L, Size{1.0, 1.0, 0.4, kV2, 1280}>, Usual{480}),
};

}  // namespace ds::models::efficientnet
