#include "engine/commands/frozen_features.h"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/signals.h"
#include "base/graph/adapters.h"
#include "base/graph/passes.h"
#include "engine/exec/executor.h"

namespace ds::commands {
namespace {

constexpr std::int64_t kRows = 250;  ///< at once

[[noreturn]] void refuse(const std::string& what, const std::string& hint) { throw Error(Exit::kUsage, "--cache-frozen", what, hint); }

/// Values of frozen nodes that depend on an input and that others read.
std::set<std::string> leading_values(const graph::Graph& graph, const std::set<std::string>& frozen) {
  std::set<std::string> moving, found;  // values that an input decides on
  for (const graph::Input& input : graph.inputs) moving.insert(input.name);
  for (const graph::Node& node : graph.nodes) {
    const bool moves = std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& value) { return moving.contains(value); });
    for (int i = 0; i < node.outputs && moves; ++i) moving.insert(node.output(i));
    if (frozen.contains(node.name)) continue;
    for (const std::string& value : node.inputs) {
      const graph::Node* from = graph.producer(value);
      if (moving.contains(value) && (!from || frozen.contains(from->name))) found.insert(value);
    }
  }
  return found;
}

exec::Model part(const exec::Model& model, graph::Graph graph) {
  graph::remove_dead(graph);
  graph::verify(graph, "--cache-frozen");
  exec::Model result;
  for (const graph::TensorSpec& spec : graph.tensors) result.tensors[spec.name] = model.tensors.at(spec.name);
  result.graph = std::move(graph);
  return result;
}

void run_front(exec::Model& front, data::Split& split, const nlohmann::json& preprocessing) {
  if (split.size() == 0) return;
  const c10::NoGradGuard off;
  exec::Executor executor(front);
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < split.size(); first += kRows) {
    core::stop_if_requested();
    const at::Tensor out = executor.run(data::batch_of(split, preprocessing, first, std::min(kRows, split.size() - first)).inputs, {}).at(0);
    parts.push_back((out.dim() == 2 ? out.unsqueeze(2).unsqueeze(3) : out).contiguous());
  }
  split.images = at::cat(parts).contiguous();
}

}  // namespace

FrozenFeatures frozen_features(exec::Model& model, const std::set<std::string>& trained, const data::Dataset& data,
                               const nlohmann::json& preprocessing) {
  if (data.has_tokens()) refuse("is for images and rows of tables, the data are texts", "leave it out");
  std::set<std::string> frozen = graph::frozen_prefix(model.graph, trained);
  std::set<std::string> values = leading_values(model.graph, frozen);
  // A layer with an adapter beside it is frozen too, and what it reads leads to both: the last ones are run each time until one value is left.
  for (auto node = model.graph.nodes.rbegin(); values.size() > 1 && node != model.graph.nodes.rend(); ++node)
    if (frozen.erase(node->name) > 0) values = leading_values(model.graph, frozen);
  if (values.empty()) refuse("nothing in front of what is trained is frozen", "train fewer layers, such as with adapter.last");
  FrozenFeatures found;
  found.value = *values.begin();
  const graph::Node* from = model.graph.producer(found.value);
  if (!from) refuse("nothing in front of what is trained is frozen", "train fewer layers, such as with adapter.last");
  const graph::ValueType type = graph::infer_types(model.graph).at(found.value);
  const std::size_t rank = type.dims.size();
  if ((rank != 4 && rank != 2) || !type.dims[1].is_known())
    refuse(fmt::format("'{}' is {}, expected [N, C, H, W] or [N, D]", found.value, graph::type_text(type)), "leave it out");

  graph::Graph front = model.graph;
  front.outputs = {{"features", found.value}};
  exec::Model first = part(model, std::move(front));
  found.macs = graph::cost(first.graph).macs;
  graph::Graph back = model.graph;
  std::erase_if(back.nodes, [&](const graph::Node& node) { return frozen.contains(node.name) && !node.inputs.empty(); });
  graph::ValueType input = type;
  if (rank == 4) {
    back.inputs = {{found.value, input}};
  } else {
    input.dims = {type.dims[0], type.dims[1], 1, 1};
    back.inputs = {{found.value + "_features", input}};
    graph::Node flat;
    flat.name = found.value;
    flat.op = "flatten";
    flat.inputs = {back.inputs[0].name};
    back.nodes.insert(back.nodes.begin(), std::move(flat));
  }
  found.back = part(model, std::move(back));

  found.data = data;
  for (data::Split* split : {&found.data.train, &found.data.val, &found.data.test}) run_front(first, *split, preprocessing);
  const auto shape = found.data.train.images.sizes();
  found.preprocessing = {{"kind", "image"}, {"shape", {shape[1], shape[2], shape[3]}}, {"scale", 1.0}, {"mean", {0.0}}, {"std", {1.0}}};
  found.data.preprocessing = found.preprocessing;
  return found;
}

}  // namespace ds::commands
