#include "engine/optim/groups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/core/error.h"

namespace ds::optim {
namespace {

/// "encoder.layer.7" of "encoder.layer.7.attention.query": up to the first part that is a number; "" where there is none.
std::string block_of(const std::string& name) {
  for (std::size_t start = 0; start < name.size();) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    const bool number = dot > start && std::all_of(name.begin() + static_cast<std::ptrdiff_t>(start), name.begin() + static_cast<std::ptrdiff_t>(dot),
                                                   [](char c) { return c >= '0' && c <= '9'; });
    if (number && start > 0) return name.substr(0, dot);
    start = dot + 1;
  }
  return "";
}

/// Tensors that a node of op `op` reads by a slot.
std::set<std::string> tensors_of(const graph::Graph& graph, const std::string& op) {
  std::set<std::string> names;
  for (const graph::Node& node : graph.nodes)
    if (node.op == op)
      for (const auto& [slot, target] : node.slots) names.insert(target.tensor);
  return names;
}

/// Tensors of the nodes that the outputs come from with no other layer between.
std::set<std::string> tensors_of_output(const graph::Graph& graph) {
  std::set<std::string> names;
  for (const graph::Output& output : graph.outputs)
    for (const graph::Node* node = graph.producer(output.value); node != nullptr; node = node->inputs.empty() ? nullptr : graph.producer(node->inputs[0])) {
      for (const auto& [slot, target] : node->slots) names.insert(target.tensor);
      if (!node->slots.empty()) break;
    }
  return names;
}

std::vector<bool> frozen(const std::vector<std::string>& names, const std::vector<std::string>& patterns) {
  std::vector<bool> found(names.size());
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (fnmatch(pattern.c_str(), names[i].c_str(), 0) == 0) any = found[i] = true;
    if (any) continue;
    std::vector<std::string> stems;  // names and what they begin with
    std::string first;
    for (const std::string& name : names) {
      for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) stems.push_back(name.substr(0, dot));
      stems.push_back(name);
      const std::string stem = name.substr(0, name.find('.'));
      if ((", " + first + ", ").find(", " + stem + ", ") == std::string::npos && first.size() < 80) first += (first.empty() ? "" : ", ") + stem;
    }
    std::string plain = pattern;
    while (!plain.empty() && (plain.back() == '*' || plain.back() == '.')) plain.pop_back();
    const std::string near = core::nearest(plain, stems);
    throw Error(Exit::kUsage, "train.freeze", fmt::format("no parameter is called '{}'", pattern),
                near.empty() ? "names begin with " + first : fmt::format("did you mean '{}{}'?", near, pattern.substr(plain.size())));
  }
  return found;
}

}  // namespace

std::map<std::string, std::int64_t> layer_depths(const graph::Graph& graph) {
  std::vector<std::string> blocks;
  std::map<std::string, std::int64_t> depths;
  std::vector<std::string> after;  // tensors of no block, since the last one
  for (const graph::Node& node : graph.nodes)
    for (const auto& [slot, target] : node.slots) {
      if (depths.contains(target.tensor)) continue;
      const std::string block = block_of(target.tensor);
      if (block.empty()) {
        depths[target.tensor] = 0;
        if (!blocks.empty()) after.push_back(target.tensor);
        continue;
      }
      auto at = std::find(blocks.begin(), blocks.end(), block);
      if (at == blocks.end()) {
        for (const std::string& name : after) depths[name] = static_cast<std::int64_t>(blocks.size());  // between two blocks
        after.clear();
        at = blocks.insert(blocks.end(), block);
      }
      depths[target.tensor] = at - blocks.begin() + 1;
    }
  for (const std::string& name : after) depths[name] = static_cast<std::int64_t>(blocks.size()) + 1;
  return depths;
}

std::vector<Parameter> parameters_of(exec::Model& model, const GroupOptions& options) {
  const std::vector<std::string> names = model.parameters();
  const std::vector<bool> stays = frozen(names, options.freeze);
  const std::set<std::string> free = tensors_of(model.graph, "tensor"), embeddings = tensors_of(model.graph, "embedding"),
                              last = tensors_of_output(model.graph);
  const std::map<std::string, std::int64_t> depths = layer_depths(model.graph);
  std::int64_t deepest = 0;
  for (const auto& [name, depth] : depths) deepest = std::max(deepest, depth);
  std::vector<Parameter> parameters;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    const at::Tensor& value = model.tensors.at(name);
    if (stays[i]) {
      model.tensors.at(name).requires_grad_(false);
      continue;
    }
    const auto depth = depths.find(name);
    const double scale = options.layer_decay == 1 || depth == depths.end() ? 1 : std::pow(options.layer_decay, static_cast<double>(deepest - depth->second));
    // Decay for what multiplies: not for vectors (norms, biases), nor for free tensors such as class tokens and positions.
    parameters.push_back({.name = name, .value = value, .decay = options.decay_norms || (value.dim() >= 2 && !free.contains(name)), .lr_scale = scale,
                          .hidden = value.dim() >= 2 && !free.contains(name) && !embeddings.contains(name) && !last.contains(name)});
  }
  if (parameters.empty() && !names.empty())
    throw Error(Exit::kUsage, "train.freeze", fmt::format("freezes all {} parameters: nothing is left to train", names.size()));
  return parameters;
}

}  // namespace ds::optim
