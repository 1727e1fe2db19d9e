#include "engine/train/regularizers/weights.h"

#include <set>

#include "base/graph/schema.h"

namespace ds::train {

std::vector<at::Tensor> decayed(Trainer& trainer) {
  std::vector<at::Tensor> weights;
  for (const optim::Parameter& parameter : trainer.parameters())
    if (parameter.decay && parameter.value.requires_grad()) weights.push_back(parameter.value);
  return weights;
}

at::Tensor LayerWeight::matrices(const at::Tensor& weight) const {
  if (transposed) return weight.t().unsqueeze(0);
  return weight.reshape({groups, weight.size(0) / groups, -1});
}

std::vector<LayerWeight> layer_weights(Trainer& trainer) {
  std::set<std::string> open;
  for (const optim::Parameter& parameter : trainer.parameters())
    if (parameter.value.requires_grad()) open.insert(parameter.name);
  std::vector<LayerWeight> weights;
  for (const graph::Node& node : trainer.model().graph.nodes) {
    const std::string op = node.op.starts_with("fake_") ? node.op.substr(5) : node.op;  // of a net that is trained for int8
    if (op != "linear" && op != "conv2d" && op != "conv1d") continue;
    const auto slot = node.slots.find("weight");
    if (slot == node.slots.end() || open.erase(slot->second.tensor) == 0) continue;
    const graph::Json attrs = graph::full_attributes(node);
    weights.push_back({slot->second.tensor, attrs.value("groups", std::int64_t{1}), attrs.value("transposed", false)});
  }
  return weights;
}

}  // namespace ds::train
