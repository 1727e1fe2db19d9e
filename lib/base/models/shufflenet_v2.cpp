#include <fmt/format.h>

#include <array>

#include "base/models/mobile.h"
#include "base/models/parts.h"

namespace ds::models::shufflenet_v2 {

struct Size {
  std::array<int, 5> channels;  ///< of the stem, the three stages and the last convolution
};

constexpr int kBlocks[] = {4, 8, 4};

graph::Value pointwise(graph::Builder& b, const std::string& name, int at, const graph::Value& x, std::int64_t out) {
  const graph::Value y = b.conv2d(fmt::format("{}.{}", name, at), x, out, 1, 1, 0, false);
  return b.relu(fmt::format("{}.{}", name, at + 2), b.batch_norm2d(fmt::format("{}.{}", name, at + 1), y));
}

graph::Value depthwise(graph::Builder& b, const std::string& name, int at, const graph::Value& x, std::int64_t stride) {
  const std::int64_t n = channels(b, x);
  return b.batch_norm2d(fmt::format("{}.{}", name, at + 1), b.conv2d(fmt::format("{}.{}", name, at), x, n, 3, stride, 1, false, n));
}

/// The channels of the two halves in turn: 0, C/2, 1, C/2 + 1 ...
graph::Value shuffle(graph::Builder& b, const std::string& name, const graph::Value& x) {
  const std::int64_t half = channels(b, x) / 2;
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < half; ++i) order.insert(order.end(), {i, half + i});
  return b.node("reorder", name, {x}, {{"axis", 1}, {"order", order}});
}

/// Half of the channels pass as they are (stride 1) or through a branch of their own (stride 2); the other half is computed anew.
graph::Value block(graph::Builder& b, const std::string& name, const graph::Value& in, std::int64_t out, std::int64_t stride) {
  const std::int64_t half = out / 2;
  graph::Value left, right = in;
  if (stride == 1) {
    left = b.node("split", name + ".chunk", {in}, {{"axis", 1}, {"sizes", {half, half}}});
    right = graph::Builder::output_of(left, 1);
  } else {
    left = pointwise(b, name + ".branch1", 2, depthwise(b, name + ".branch1", 0, in, stride), half);
  }
  right = pointwise(b, name + ".branch2", 0, right, half);
  right = pointwise(b, name + ".branch2", 5, depthwise(b, name + ".branch2", 3, right, stride), half);
  return shuffle(b, name + ".shuffle", b.node("concat", name + ".cat", {left, right}, {{"axis", 1}}));
}

template <Size size>
graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const ArchOptions&>(base);
  require_size(o, "shufflenet_v2", 4);
  graph::Builder b;
  graph::Value x = b.max_pool2d("maxpool", conv_norm(b, "conv1", image(b, o), size.channels[0], 3, 2, "relu"), 3, 2, 1);
  for (std::size_t stage = 0; stage < 3; ++stage)
    for (int i = 0; i < kBlocks[stage]; ++i) x = block(b, fmt::format("stage{}.{}", stage + 2, i), x, size.channels[stage + 1], i == 0 ? 2 : 1);
  x = conv_norm(b, "conv5", x, size.channels[4], 1, 1, "relu");
  x = dropout(b, "dropout", pooled(b, x), o, 0);
  b.output("logits", b.linear("fc", x, o.num_classes));
  return b.finish();
}

constexpr const char* kSource = "Ma et al. 2018, arXiv:1807.11164, table 5";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<ArchOptions>("shufflenet_v2_x0_5", "two branches whose channels are shuffled: 1.4 million parameters for 1,000 classes", kSource,
                                    build<Size{{24, 48, 96, 192, 1024}}>),
    Architecture::make<ArchOptions>("shufflenet_v2_x1_0", "two branches whose channels are shuffled: 2.3 million parameters for 1,000 classes", kSource,
                                    build<Size{{24, 116, 232, 464, 1024}}>),
    Architecture::make<ArchOptions>("shufflenet_v2_x1_5", "two branches whose channels are shuffled: 3.5 million parameters for 1,000 classes", kSource,
                                    build<Size{{24, 176, 352, 704, 1024}}>),
    Architecture::make<ArchOptions>("shufflenet_v2_x2_0", "two branches whose channels are shuffled: 7.4 million parameters for 1,000 classes", kSource,
                                    build<Size{{24, 244, 488, 976, 2048}}>),
};

}  // namespace ds::models::shufflenet_v2
