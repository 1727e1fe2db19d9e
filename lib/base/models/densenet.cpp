#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::densenet {

struct Options : ArchOptions {};

struct Size {
  std::array<int, 4> depths;  ///< layers a block
  int growth = 32;            ///< channels that each layer adds
};

/// BatchNorm, ReLU, 1x1 convolution, and the same with 3x3: the layer's new channels.
graph::Value layer(graph::Builder& b, const std::string& name, graph::Value x, std::int64_t growth, const Options& o) {
  x = b.relu(name + ".relu1", b.batch_norm2d(name + ".norm1", x));
  x = b.conv2d(name + ".conv1", x, 4 * growth, 1, 1, 0, false);
  x = b.relu(name + ".relu2", b.batch_norm2d(name + ".norm2", x));
  return dropout(b, name + ".dropout", b.conv2d(name + ".conv2", x, growth, 3, 1, 1, false), o, 0);
}

/// He et al. 2015 over the fan-in, as torchvision does.
void initialise(graph::Graph& graph) {
  for (const graph::Node& node : graph.nodes) {
    if (node.op != "conv2d") continue;
    graph::TensorSpec& weight = *graph.find_tensor(node.slots.at("weight").tensor);
    weight.init = {{"kind", "kaiming_normal"}, {"fan", weight.shape[1] * weight.shape[2] * weight.shape[3]}, {"gain", std::sqrt(2.0)}};
  }
  init_zero_biases(graph, "linear");
}

graph::Graph make(const core::Options& base, const Size& size) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  graph::Value x = b.conv2d("features.conv0", image(b, o), 2 * size.growth, 7, 2, 3, false);
  x = b.relu("features.relu0", b.batch_norm2d("features.norm0", x));
  x = b.max_pool2d("features.pool0", x, 3, 2, 1);
  for (std::size_t i = 0; i < size.depths.size(); ++i) {
    for (int k = 1; k <= size.depths[i]; ++k) {
      const std::string name = fmt::format("features.denseblock{}.denselayer{}", i + 1, k);
      x = b.node("concat", name + ".concat", {x, layer(b, name, x, size.growth, o)}, {{"axis", 1}});
    }
    if (i + 1 == size.depths.size()) break;
    const std::string name = fmt::format("features.transition{}", i + 1);
    x = b.relu(name + ".relu", b.batch_norm2d(name + ".norm", x));
    x = b.conv2d(name + ".conv", x, b.type(x).dims[1].value() / 2, 1, 1, 0, false);
    x = b.node("avg_pool2d", name + ".pool", {x}, {{"kernel", {2, 2}}, {"stride", {2, 2}}});
  }
  x = b.relu("relu", b.batch_norm2d("features.norm5", x));
  x = b.flatten("flatten", b.global_avg_pool("avgpool", x));
  b.output("logits", b.linear("classifier", x, o.num_classes));
  graph::Graph graph = b.finish();
  initialise(graph);
  return graph;
}

template <Size size>
graph::Graph build(const core::Options& options) {
  return make(options, size);
}

constexpr const char* kSource = "Huang et al. 2017, arXiv:1608.06993, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("densenet121", "each layer sees all before it, 121 layers: 8.0 million parameters for 1,000 classes", kSource,
                                build<Size{{6, 12, 24, 16}}>),
    Architecture::make<Options>("densenet161", "each layer sees all before it, 161 layers: 28.7 million parameters for 1,000 classes", kSource,
                                build<Size{{6, 12, 36, 24}, 48}>),
    Architecture::make<Options>("densenet169", "each layer sees all before it, 169 layers: 14.1 million parameters for 1,000 classes", kSource,
                                build<Size{{6, 12, 32, 32}}>),
    Architecture::make<Options>("densenet201", "each layer sees all before it, 201 layers: 20.0 million parameters for 1,000 classes", kSource,
                                build<Size{{6, 12, 48, 32}}>),
};

}  // namespace ds::models::densenet
