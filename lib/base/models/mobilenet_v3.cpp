#include <fmt/format.h>

#include <vector>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::mobilenet_v3 {

struct Block {
  int kernel, expanded, out;
  bool squeeze, hardswish;
  int stride;
};

// Tables 1 and 2 of the paper.
const std::vector<Block> kLarge = {
    {3, 16, 16, false, false, 1},  {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1}, {5, 72, 40, true, false, 2},
    {5, 120, 40, true, false, 1},  {5, 120, 40, true, false, 1}, {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1},
    {3, 184, 80, false, true, 1},  {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
    {5, 672, 160, true, true, 2},  {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1},
};
const std::vector<Block> kSmall = {
    {3, 16, 16, true, false, 2}, {3, 72, 24, false, false, 2}, {3, 88, 24, false, false, 1}, {5, 96, 40, true, true, 2},
    {5, 240, 40, true, true, 1}, {5, 240, 40, true, true, 1},  {5, 120, 48, true, true, 1},  {5, 144, 48, true, true, 1},
    {5, 288, 96, true, true, 2}, {5, 576, 96, true, true, 1},  {5, 576, 96, true, true, 1},
};

constexpr NormOptions kNorm{1e-3, 0.01};

graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, const Block& s) {
  const std::string activation = s.hardswish ? "hardswish" : "relu";
  const std::int64_t width = channels(b, in);
  int layer = 0;
  const auto part = [&] { return fmt::format("{}.block.{}", name, layer++); };
  graph::Value x = in;
  if (s.expanded != width) x = conv_norm(b, part(), x, s.expanded, 1, 1, activation, kNorm);
  x = conv_norm(b, part(), x, s.expanded, s.kernel, s.stride, activation, kNorm, s.expanded);
  if (s.squeeze) x = squeeze_excite(b, part(), x, make_divisible(s.expanded / 4), "relu", "hardsigmoid");  // NOLINT: whole channels
  x = conv_norm(b, part(), x, s.out, 1, 1, "", kNorm);
  return s.stride == 1 && width == s.out ? residual(b, name, in, x) : x;
}

graph::Graph make(const core::Options& base, const std::vector<Block>& blocks, std::int64_t last) {
  const auto& o = static_cast<const ArchOptions&>(base);
  graph::Builder b;
  graph::Value x = conv_norm(b, "features.0", image(b, o), 16, 3, 2, "hardswish", kNorm);
  int layer = 1;
  for (const Block& s : blocks) x = block(b, fmt::format("features.{}", layer++), x, s);
  x = conv_norm(b, fmt::format("features.{}", layer), x, 6 * channels(b, x), 1, 1, "hardswish", kNorm);
  x = b.node("hardswish", "classifier.1", {b.linear("classifier.0", pooled(b, x), last)});
  x = dropout(b, "classifier.2", x, o, 0.2);
  b.output("logits", b.linear("classifier.3", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_convs_fan_out(graph);
  init_zero_biases(graph, "conv2d");
  init_normal(graph, "linear", 0.01);
  init_zero_biases(graph, "linear");
  return graph;
}

graph::Graph large(const core::Options& options) { return make(options, kLarge, 1280); }
graph::Graph small(const core::Options& options) { return make(options, kSmall, 1024); }

constexpr const char* kSource = "Howard et al. 2019, arXiv:1905.02244, tables 1 and 2";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<ArchOptions>(
        "mobilenet_v3_large", "inverted residuals with hard swish and squeeze-and-excitation: 5.5 million parameters for 1,000 classes", kSource, large),
    Architecture::make<ArchOptions>(
        "mobilenet_v3_small", "inverted residuals with hard swish and squeeze-and-excitation: 2.5 million parameters for 1,000 classes", kSource, small),
};

}  // namespace ds::models::mobilenet_v3
