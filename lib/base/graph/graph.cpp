#include "base/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/registry.h"

namespace ds::graph {

const TensorSpec* Graph::find_tensor(const std::string& name) const {
  // Slots are asked for in the order of the table, pass after pass: the search goes on where the last one of this thread ended.
  thread_local std::size_t last = 0;
  const std::size_t n = tensors.size(), start = last < n ? last : 0;
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t i = start + k < n ? start + k : start + k - n;
    if (tensors[i].name != name) continue;
    last = i;
    return &tensors[i];
  }
  return nullptr;
}

TensorSpec* Graph::find_tensor(const std::string& name) { return const_cast<TensorSpec*>(std::as_const(*this).find_tensor(name)); }

const TensorSpec& Graph::tensor(const std::string& name) const {
  if (const TensorSpec* spec = find_tensor(name)) return *spec;
  std::vector<std::string> names;
  for (const TensorSpec& spec : tensors) names.push_back(spec.name);
  const std::string near = core::nearest(name, names);
  throw Error(Exit::kInput, "", fmt::format("there is no tensor '{}'", name), near.empty() ? "" : fmt::format("did you mean '{}'", near));
}

const Node* Graph::find_node(const std::string& name) const {
  for (const Node& node : nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

Node* Graph::find_node(const std::string& name) { return const_cast<Node*>(std::as_const(*this).find_node(name)); }

std::vector<const Node*> Graph::users(const std::string& value) const {
  std::vector<const Node*> result;
  for (const Node& node : nodes) {
    if (std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end()) result.push_back(&node);
  }
  return result;
}

const Node* Graph::producer(const std::string& value) const { return find_node(value.substr(0, value.find(':'))); }

std::string type_text(const ValueType& type) {
  std::string dims;
  for (const Dim& dim : type.dims) dims += (dims.empty() ? "" : ", ") + dim.text();
  return fmt::format("{}[{}]", io::dtype_name(type.dtype), dims);
}

}  // namespace ds::graph
