#include <fmt/format.h>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::unet {

constexpr int kLevels = 4;  ///< how often the image is halved

struct Options : ArchOptions {
  std::int64_t width = 64;
  bool bilinear = false;
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "width", .doc = "channels of the first convolutions", .min = 1, .max = 4096}, width);
    f.add({.name = "bilinear", .doc = "enlarge by bilinear interpolation and half the channels, in place of transposed convolutions"}, bilinear);
  }
};

/// Two convolutions with BatchNorm and ReLU, as `<name>.double_conv`.
graph::Value double_conv(graph::Builder& b, const std::string& name, graph::Value x, std::int64_t middle, std::int64_t out) {
  for (int i = 0; i < 2; ++i) {
    const auto part = [&](int k) { return fmt::format("{}.double_conv.{}", name, 3 * i + k); };
    x = b.conv2d(part(0), x, i == 0 ? middle : out, 3, 1, 1, /*bias=*/false);
    x = b.relu(part(2), b.batch_norm2d(part(1), x));
  }
  return x;
}

/// x with zeros around, more of them at the end, up to the sides of `like`: halving an odd side has lost a row.
graph::Value padded(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& like) {
  std::vector<std::int64_t> before, after;
  for (const std::size_t axis : {2, 3}) {
    const std::int64_t apart = b.type(like).dims[axis].value() - b.type(x).dims[axis].value();
    before.push_back(apart / 2);
    after.push_back(apart - apart / 2);
  }
  if (after[0] == 0 && after[1] == 0) return x;
  return b.node("pad", name, {x}, {{"axes", {2, 3}}, {"before", before}, {"after", after}});
}

/// x at twice its sides behind `skip`, through two convolutions.
graph::Value up(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& skip, std::int64_t out, bool bilinear) {
  const std::int64_t in = b.type(x).dims[1].value() + (bilinear ? b.type(skip).dims[1].value() : 0);
  graph::Value y = bilinear ? b.node("upsample2d", name + ".up", {x}, {{"scale", {2, 2}}, {"mode", "bilinear"}, {"align_corners", true}})
                            : b.node("conv_transpose2d", name + ".up", {x}, {{"out_channels", in / 2}, {"kernel", {2, 2}}, {"stride", {2, 2}}});
  y = b.node("concat", name + ".concat", {skip, padded(b, name + ".pad", y, skip)}, {{"axis", 1}});
  return double_conv(b, name + ".conv", y, bilinear ? in / 2 : out, out);
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  require_size(o, "unet", 1 << kLevels);
  graph::Builder b;
  std::vector<graph::Value> skips;
  graph::Value x = double_conv(b, "inc", image(b, o), o.width, o.width);
  for (int level = 1; level <= kLevels; ++level) {
    skips.push_back(x);
    const std::string name = fmt::format("down{}.maxpool_conv.", level);
    const std::int64_t out = (o.width << level) / (o.bilinear && level == kLevels ? 2 : 1);
    x = double_conv(b, name + "1", b.max_pool2d(name + "0", x, 2, 2), out, out);
  }
  for (int level = kLevels - 1; level >= 0; --level) {
    const std::int64_t out = (o.width << level) / (o.bilinear && level > 0 ? 2 : 1);
    x = up(b, fmt::format("up{}", kLevels - level), x, skips[static_cast<std::size_t>(level)], out, o.bilinear);
  }
  b.output("logits", b.conv2d("outc.conv", dropout(b, "dropout", x, o, 0), o.num_classes, 1));
  return b.finish();
}

const Architecture entry = Architecture::make<Options>(
    "unet", "a class for each pixel, [N, C, H, W] to [N, classes, H, W]: convolutions down to a sixteenth of the sides and up again, 31 million parameters",
    "Ronneberger et al. 2015, arXiv:1505.04597, figure 1; padded and with batch norm as milesial/Pytorch-UNet", build, Usual{572, 3, 2});

}  // namespace ds::models::unet
