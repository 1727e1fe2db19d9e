#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace inference {

// Why a value that a node reads is not there: made later, or nowhere.
[[noreturn]] void missing(const Graph& graph, const Node& node, const std::string& value, const std::map<std::string, ValueType>& known) {
  const std::string where = fmt::format("node '{}' ({})", node.name, node.op);
  const Node* maker = graph.producer(value);
  if (maker && maker->name == value)
    throw Error(Exit::kInput, where, fmt::format("reads '{}' before it is made", value), "put nodes in order of computation");
  std::vector<std::string> names;
  for (const auto& [name, type] : known) names.push_back(name);
  const std::string near = core::nearest(value, names);
  throw Error(Exit::kInput, where, fmt::format("reads '{}', which no input or node makes", value),
              near.empty() ? "" : fmt::format("did you mean '{}'", near));
}

}  // namespace inference

std::map<std::string, ValueType> infer_types(const Graph& graph) {
  std::map<std::string, ValueType> types;
  for (const Input& input : graph.inputs) types[input.name] = input.type;
  for (const Node& node : graph.nodes) {
    std::vector<ValueType> inputs;
    for (const std::string& value : node.inputs) {
      const auto it = types.find(value);
      if (it == types.end()) inference::missing(graph, node, value, types);
      inputs.push_back(it->second);
    }
    const NodeView view(graph, node, std::move(inputs));
    const std::vector<ValueType> outputs = infer_node(view);
    if (static_cast<int>(outputs.size()) != node.outputs) view.fail(fmt::format("states {} outputs, its op makes {}", node.outputs, outputs.size()));
    for (std::size_t i = 0; i < outputs.size(); ++i) types[node.output(static_cast<int>(i))] = outputs[i];
  }
  return types;
}

}  // namespace ds::graph
