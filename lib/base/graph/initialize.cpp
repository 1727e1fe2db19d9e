#include "base/graph/initialize.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/core/error.h"
#include "base/graph/residual.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace {

struct Fans {
  double in = 1, out = 1;
};

bool is_layer(const Node& node) {
  return node.op == "linear" || node.op == "conv2d" || node.op == "conv1d" || node.op == "conv_transpose2d";
}

/// Of weights [out, in / groups, ...]; those of transposed layers are the other way round.
Fans fans_of(const Node& node, const TensorSpec& weight) {
  double pixels = 1;
  for (std::size_t i = 2; i < weight.shape.size(); ++i) pixels *= static_cast<double>(weight.shape[i]);
  const Fans fans{static_cast<double>(weight.shape[1]) * pixels, static_cast<double>(weight.shape[0]) * pixels};
  const bool transposed = node.op == "conv_transpose2d" || full_attributes(node).value("transposed", false);
  return transposed ? Fans{fans.out, fans.in} : fans;
}

Json initialiser(const WeightInit& init, const Fans& fans) {
  const bool kaiming = init.kind.starts_with("kaiming"), uniform = init.kind.ends_with("uniform");
  const double gain = init.gain > 0 ? init.gain : kaiming ? std::sqrt(2.0) : init.kind == "truncated-normal" ? 0.02 : 1;
  if (init.kind == "orthogonal") return {{"kind", "orthogonal"}, {"gain", gain}};
  if (init.kind == "truncated-normal") return {{"kind", "truncated_normal"}, {"std", gain}};
  const double deviation = kaiming ? gain / std::sqrt(init.fan == "in" ? fans.in : fans.out) : gain * std::sqrt(2 / (fans.in + fans.out));
  const double bound = std::sqrt(3.0) * deviation;
  return uniform ? Json{{"kind", "uniform"}, {"a", -bound}, {"b", bound}} : Json{{"kind", "normal"}, {"mean", 0.0}, {"std", deviation}};
}

void set_weights(Graph& graph, const WeightInit& init) {
  std::map<std::string, const Node*> layers;  // by tensor; null where something else reads it too
  for (const Node& node : graph.nodes)
    for (const auto& [slot, target] : node.slots) {
      const bool ours = is_layer(node) && slot == "weight", known = layers.contains(target.tensor);
      layers[target.tensor] = ours && (!known || layers[target.tensor]) ? &node : nullptr;
    }
  bool found = false;
  for (TensorSpec& spec : graph.tensors) {
    const Node* node = layers[spec.name];
    if (!node || spec.role != Role::kParameter || spec.shape.size() < 2 || !io::is_float(spec.dtype)) continue;
    spec.init = initialiser(init, fans_of(*node, spec));
    found = true;
  }
  if (!found) throw Error(Exit::kUsage, "initialize.weights", "the model has no linear or convolutional layer", "leave it out");
}

void zero_last_norms(Graph& graph) {
  bool found = false;
  for (const Residual& residual : residuals(graph)) {
    const std::string value = graph.find_node(residual.add)->inputs[residual.branch];
    const Node* end = graph.find_node(value);
    if (end && end->op == "drop_path") end = graph.find_node(end->inputs[0]);
    if (!end || end->op.find("norm") == std::string::npos || !end->slots.contains("weight")) continue;
    graph.find_tensor(end->slots.at("weight").tensor)->init = {{"kind", "zeros"}};
    found = true;
  }
  if (!found)
    throw Error(Exit::kUsage, "initialize.zero_last_norm", "no residual branch of the model ends in a norm", "leave it out, or train a net such as resnet18");
}

}  // namespace

void initialize(Graph& graph, const WeightInit& init) {
  if (init.kind != "default") set_weights(graph, init);
  if (init.zero_last_norm) zero_last_norms(graph);
}

}  // namespace ds::graph
