#include <fmt/format.h>

#include <cmath>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::regnet {

/// Block j is w_0 + w_a * j wide, rounded to a power of w_m times w_0 and then to a multiple of 8 (equations 2-4).
struct Size {
  int depth, w_0;
  float w_a, w_m;
  int group_width;
  double squeeze = 0;  ///< part of a block's input channels in its squeeze-and-excitation; 0 = none
};

struct Stage {
  std::int64_t width, group_width;
  int blocks;
};

std::vector<Stage> stages(const Size& size) {
  std::vector<Stage> result;
  std::int64_t last = 0;
  for (int j = 0; j < size.depth; ++j) {  // in float32, as torchvision has it
    const float wanted = static_cast<float>(j) * size.w_a + static_cast<float>(size.w_0);
    const float power = std::nearbyint(std::log(wanted / static_cast<float>(size.w_0)) / std::log(size.w_m));
    const auto width = static_cast<std::int64_t>(std::nearbyint(static_cast<float>(size.w_0) * std::pow(size.w_m, power) / 8) * 8);
    if (width == last) {
      ++result.back().blocks;
      continue;
    }
    last = width;
    const std::int64_t group = std::min<std::int64_t>(size.group_width, width);
    result.push_back({make_divisible(static_cast<double>(width), group), group, 1});
  }
  return result;
}

/// 1x1, 3x3 in groups with the stride, squeeze-and-excitation, 1x1; the identity or a 1x1 beside it.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Stage& s, std::int64_t stride, double squeeze) {
  const std::int64_t before = channels(b, in);
  graph::Value identity = in;
  if (before != s.width || stride != 1) identity = conv_norm(b, name + ".proj", in, s.width, 1, stride, "");
  graph::Value x = conv_norm(b, name + ".f.a", in, s.width, 1, 1, "relu");
  x = conv_norm(b, name + ".f.b", x, s.width, 3, stride, "relu", {}, s.width / s.group_width);
  if (squeeze > 0)
    x = squeeze_excite(b, name + ".f.se", x, static_cast<std::int64_t>(std::nearbyint(squeeze * static_cast<double>(before))), "relu", "sigmoid");
  x = conv_norm(b, name + ".f.c", x, s.width, 1, 1, "");
  return b.relu(name + ".activation", residual(b, name, identity, x));
}

graph::Graph make(const core::Options& base, const Size& size) {
  const auto& o = static_cast<const ArchOptions&>(base);
  graph::Builder b;
  graph::Value x = conv_norm(b, "stem", image(b, o), 32, 3, 2, "relu");
  int stage = 1;
  for (const Stage& s : stages(size)) {
    for (int i = 0; i < s.blocks; ++i)
      x = block(b, fmt::format("trunk_output.block{}.block{}-{}", stage, stage, i), x, s, i == 0 ? 2 : 1, size.squeeze);
    ++stage;
  }
  x = dropout(b, "dropout", pooled(b, x), o, 0);
  b.output("logits", b.linear("fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  init_normal(graph, "linear", 0.01);
  init_zero_biases(graph, "linear");
  return graph;
}

template <Size size>
graph::Graph build(const core::Options& options) {
  return make(options, size);
}

template <Size size>
Architecture entry(const char* name, const char* summary, std::source_location here = std::source_location::current()) {
  return Architecture::make<ArchOptions>(name, summary, "Radosavovic et al. 2020, arXiv:2003.13678, section 3.3 and appendix D", build<size>, {}, here);
}

[[maybe_unused]] const Architecture entries[] = {
    entry<Size{22, 24, 24.48F, 2.54F, 16}>("regnet_x_400mf", "residual net with grouped convolutions: 5.5 million parameters for 1,000 classes"),
    entry<Size{16, 56, 35.73F, 2.28F, 16}>("regnet_x_800mf", "residual net with grouped convolutions: 7.3 million parameters for 1,000 classes"),
    entry<Size{18, 80, 34.01F, 2.25F, 24}>("regnet_x_1_6gf", "residual net with grouped convolutions: 9.2 million parameters for 1,000 classes"),
    entry<Size{25, 88, 26.31F, 2.25F, 48}>("regnet_x_3_2gf", "residual net with grouped convolutions: 15.3 million parameters for 1,000 classes"),
    entry<Size{23, 80, 49.56F, 2.88F, 120}>("regnet_x_8gf", "residual net with grouped convolutions: 39.6 million parameters for 1,000 classes"),
    entry<Size{22, 216, 55.59F, 2.1F, 128}>("regnet_x_16gf", "residual net with grouped convolutions: 54.3 million parameters for 1,000 classes"),
    entry<Size{23, 320, 69.86F, 2.0F, 168}>("regnet_x_32gf", "residual net with grouped convolutions: 107.8 million parameters for 1,000 classes"),
    entry<Size{16, 48, 27.89F, 2.09F, 8, 0.25}>("regnet_y_400mf", "regnet_x with squeeze-and-excitation: 4.3 million parameters for 1,000 classes"),
    entry<Size{14, 56, 38.84F, 2.4F, 16, 0.25}>("regnet_y_800mf", "regnet_x with squeeze-and-excitation: 6.4 million parameters for 1,000 classes"),
    entry<Size{27, 48, 20.71F, 2.65F, 24, 0.25}>("regnet_y_1_6gf", "regnet_x with squeeze-and-excitation: 11.2 million parameters for 1,000 classes"),
    entry<Size{21, 80, 42.63F, 2.66F, 24, 0.25}>("regnet_y_3_2gf", "regnet_x with squeeze-and-excitation: 19.4 million parameters for 1,000 classes"),
    entry<Size{17, 192, 76.82F, 2.19F, 56, 0.25}>("regnet_y_8gf", "regnet_x with squeeze-and-excitation: 39.4 million parameters for 1,000 classes"),
    entry<Size{18, 200, 106.23F, 2.48F, 112, 0.25}>("regnet_y_16gf", "regnet_x with squeeze-and-excitation: 83.6 million parameters for 1,000 classes"),
    entry<Size{20, 232, 115.89F, 2.53F, 232, 0.25}>("regnet_y_32gf", "regnet_x with squeeze-and-excitation: 145.0 million parameters for 1,000 classes"),
    entry<Size{27, 456, 160.83F, 2.52F, 264, 0.25}>("regnet_y_128gf", "regnet_x with squeeze-and-excitation: 644.8 million parameters for 1,000 classes"),
};

}  // namespace ds::models::regnet
