#include <array>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::googlenet {

struct Options : ArchOptions {};

/// A convolution with BatchNorm and ReLU, as torchvision's BasicConv2d.
graph::Value conv(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
  return b.relu(name + ".relu", b.batch_norm2d(name + ".bn", b.conv2d(name + ".conv", x, out, kernel, stride, kernel / 2, false), 1e-3));
}

/// Channels of the branches: 1x1; 1x1 then 3x3; 1x1 then 3x3 (5x5 in the paper); 1x1 after pooling.
struct Widths {
  int one, before_three, three, before_five, five, pool;
};

graph::Value inception(graph::Builder& b, const std::string& name, const graph::Value& x, const Widths& w) {
  const graph::Value one = conv(b, name + ".branch1", x, w.one, 1);
  const graph::Value three = conv(b, name + ".branch2.1", conv(b, name + ".branch2.0", x, w.before_three, 1), w.three, 3);
  const graph::Value five = conv(b, name + ".branch3.1", conv(b, name + ".branch3.0", x, w.before_five, 1), w.five, 3);
  const graph::Value pool = conv(b, name + ".branch4.1", b.max_pool2d(name + ".branch4.0", x, 3, 1, 1, /*ceil=*/true), w.pool, 1);
  return b.node("concat", name + ".concat", {one, three, five, pool}, {{"axis", 1}});
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  const auto pool = [&](const char* name, const graph::Value& x, std::int64_t kernel) { return b.max_pool2d(name, x, kernel, 2, 0, /*ceil=*/true); };
  graph::Value x = pool("maxpool1", conv(b, "conv1", image(b, o), 64, 7, 2), 3);
  x = pool("maxpool2", conv(b, "conv3", conv(b, "conv2", x, 64, 1), 192, 3), 3);
  x = inception(b, "inception3a", x, {64, 96, 128, 16, 32, 32});
  x = pool("maxpool3", inception(b, "inception3b", x, {128, 128, 192, 32, 96, 64}), 3);
  x = inception(b, "inception4a", x, {192, 96, 208, 16, 48, 64});
  x = inception(b, "inception4b", x, {160, 112, 224, 24, 64, 64});
  x = inception(b, "inception4c", x, {128, 128, 256, 24, 64, 64});
  x = inception(b, "inception4d", x, {112, 144, 288, 32, 64, 64});
  x = pool("maxpool4", inception(b, "inception4e", x, {256, 160, 320, 32, 128, 128}), 2);
  x = inception(b, "inception5a", x, {256, 160, 320, 32, 128, 128});
  x = inception(b, "inception5b", x, {384, 192, 384, 48, 128, 128});
  x = dropout(b, "dropout", b.flatten("flatten", b.global_avg_pool("avgpool", x)), o, 0.2);
  b.output("logits", b.linear("fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_normal(graph, "conv2d", 0.01);  // torchvision cuts at 200 deviations, so nowhere
  init_normal(graph, "linear", 0.01);
  return graph;
}

const Architecture entry = Architecture::make<Options>(
    "googlenet", "four branches side by side, nine times, with batch norm, without the auxiliary heads: 6.6 million parameters for 1,000 classes",
    "Szegedy et al. 2015, arXiv:1409.4842, table 1; 3x3 convolutions for 5x5 as in torchvision", build,
    Usual{224, 3, 1000, {"aux1.", "aux2."}, /*centred=*/true});

}  // namespace ds::models::googlenet
