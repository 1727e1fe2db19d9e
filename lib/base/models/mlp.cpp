#include <fmt/format.h>

#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::mlp {

struct Options : ArchOptions {
  std::vector<std::int64_t> hidden = {256, 128};
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "hidden", .doc = "sizes of the hidden layers", .min = 1, .max = 1 << 20}, hidden);
  }
};

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  graph::Value x = b.flatten("flatten", image(b, o));
  for (std::size_t i = 0; i < o.hidden.size(); ++i) {
    x = b.relu(fmt::format("relu{}", i + 1), b.linear(fmt::format("fc{}", i + 1), x, o.hidden[i]));
  }
  x = dropout(b, "dropout", x, o, 0);
  b.output("logits", b.linear(fmt::format("fc{}", o.hidden.size() + 1), x, o.num_classes));
  return b.finish();
}

const Architecture entry = Architecture::make<Options>("mlp", "multi-layer perceptron: linear and ReLU", "", build, Usual{28, 1, 10});

}  // namespace ds::models::mlp
