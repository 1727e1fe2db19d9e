#include <fmt/format.h>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::squeezenet {

struct Options : ArchOptions {};

/// 1x1 convolution that squeezes, then 1x1 and 3x3 side by side that expand to `expand` channels each.
graph::Value fire(graph::Builder& b, const std::string& name, graph::Value x, std::int64_t squeeze, std::int64_t expand) {
  x = b.relu(name + ".squeeze_activation", b.conv2d(name + ".squeeze", x, squeeze, 1));
  const graph::Value one = b.relu(name + ".expand1x1_activation", b.conv2d(name + ".expand1x1", x, expand, 1));
  const graph::Value three = b.relu(name + ".expand3x3_activation", b.conv2d(name + ".expand3x3", x, expand, 3, 1, 1));
  return b.node("concat", name + ".concat", {one, three}, {{"axis", 1}});
}

/// All convolutions by He et al. 2015 (uniform, fan-in, gain of ReLU), the last from N(0, 0.01); biases at 0.
void initialise(graph::Graph& graph) {
  for (const graph::Node& node : graph.nodes)
    if (node.op == "conv2d") graph.find_tensor(node.slots.at("weight").tensor)->init["a"] = 0.0;
  graph.find_tensor("classifier.1.weight")->init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.01}};
  init_zero_biases(graph, "conv2d");
}

/// @param first  version 1.0: a larger first convolution, and poolings one or two blocks later
graph::Graph make(const core::Options& base, bool first) {
  const auto& o = static_cast<const Options&>(base);
  constexpr std::int64_t kSqueeze[] = {16, 16, 32, 32, 48, 48, 64, 64}, kExpand[] = {64, 64, 128, 128, 192, 192, 256, 256};
  graph::Builder b;
  graph::Value x = b.conv2d("features.0", image(b, o), first ? 96 : 64, first ? 7 : 3, 2);
  x = b.relu("features.1", x);
  x = b.max_pool2d("features.2", x, 3, 2, 0, /*ceil=*/true);
  int place = 3;
  for (int i = 0; i < 8; ++i) {
    x = fire(b, fmt::format("features.{}", place++), x, kSqueeze[i], kExpand[i]);
    const bool pool = first ? i == 2 || i == 6 : i == 1 || i == 3;
    if (pool) x = b.max_pool2d(fmt::format("features.{}", place++), x, 3, 2, 0, /*ceil=*/true);
  }
  x = b.conv2d("classifier.1", dropout(b, "classifier.0", x, o, 0.5), o.num_classes, 1);
  x = b.global_avg_pool("classifier.3", b.relu("classifier.2", x));
  b.output("logits", b.flatten("flatten", x));
  graph::Graph graph = b.finish();
  initialise(graph);
  return graph;
}

template <bool first>
graph::Graph build(const core::Options& options) {
  return make(options, first);
}

constexpr const char* kSource = "Iandola et al. 2016, arXiv:1602.07360, table 1";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("squeezenet1_0", "convolutions that squeeze and expand: 1.25 million parameters for 1,000 classes", kSource, build<true>),
    Architecture::make<Options>("squeezenet1_1", "squeezenet1_0 with 2.4 times less work: 1.24 million parameters for 1,000 classes", kSource,
                                build<false>),
};

}  // namespace ds::models::squeezenet
