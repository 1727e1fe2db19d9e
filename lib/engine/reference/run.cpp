#include <ATen/ops/empty.h>

#include <map>
#include <set>

#include "base/core/error.h"
#include "engine/exec/model.h"
#include "engine/reference/call.h"

namespace ds::reference {

namespace {

template <class T>
const T* value_of(const commands::OnnxNode& node, const char* name) {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

/// Nodes that the outputs need, each behind those that it reads.
std::vector<const commands::OnnxNode*> in_order(const commands::OnnxNodes& nodes) {
  std::map<std::string, const commands::OnnxNode*> makers;
  for (const commands::OnnxNode& node : nodes.nodes)
    for (const std::string& output : node.outputs) makers.emplace(output, &node);
  std::vector<const commands::OnnxNode*> order;
  std::map<const commands::OnnxNode*, std::size_t> next;  // the input to look at; one past the end: done
  std::vector<const commands::OnnxNode*> open;
  const auto enter = [&](const std::string& value) {
    const auto made = value.empty() ? makers.end() : makers.find(value);
    if (made != makers.end() && next.emplace(made->second, 0).second) open.push_back(made->second);
  };
  for (const std::string& output : nodes.outputs) {
    enter(output);
    while (!open.empty()) {
      const commands::OnnxNode* node = open.back();
      if (const std::size_t at = next[node]++; at < node->inputs.size()) {
        enter(node->inputs[at]);
      } else {
        order.push_back(node);
        open.pop_back();
      }
    }
  }
  return order;
}

}  // namespace

const at::Tensor& Call::in(std::size_t i) const {
  if (!has(i)) fail("has no input " + std::to_string(i));
  return inputs_[i];
}

std::vector<std::int64_t> Call::integers(std::size_t i) const {
  const at::Tensor flat = in(i).to(at::kLong).contiguous().reshape({-1});
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

double Call::number(std::size_t i) const {
  if (in(i).numel() != 1) fail("has more than one number as input " + std::to_string(i));
  return in(i).to(at::kDouble).item<double>();
}

std::int64_t Call::i(const char* name, std::int64_t otherwise) const {
  const auto* value = value_of<std::int64_t>(node_, name);
  return value ? *value : otherwise;
}
double Call::f(const char* name, double otherwise) const {
  const auto* value = value_of<double>(node_, name);
  return value ? *value : otherwise;
}
std::string Call::s(const char* name, const char* otherwise) const {
  const auto* value = value_of<std::string>(node_, name);
  return value ? *value : otherwise;
}
std::vector<std::int64_t> Call::ints(const char* name, std::vector<std::int64_t> otherwise) const {
  const auto* value = value_of<std::vector<std::int64_t>>(node_, name);
  return value ? *value : otherwise;
}
at::Tensor Call::tensor(const char* name) const {
  const auto* value = value_of<io::Array>(node_, name);
  return value ? exec::to_tensor(*value) : at::Tensor();
}

std::int64_t Call::axis(std::int64_t axis, std::int64_t rank) const {
  const std::int64_t counted = axis < 0 ? axis + rank : axis;
  if (counted < 0 || counted >= std::max<std::int64_t>(rank, 1)) fail("names axis " + std::to_string(axis) + " of " + std::to_string(rank));
  return counted;
}

void Call::fail(const std::string& what) const {
  const std::string& name = node_.name.empty() && !node_.outputs.empty() ? node_.outputs[0] : node_.name;
  throw Error(Exit::kInput, "node '" + name.substr(0, 128) + "' (" + node_.op.substr(0, 64) + ")", what);
}

std::vector<at::Tensor> run(const commands::OnnxNodes& nodes, const std::vector<at::Tensor>& inputs) {
  if (inputs.size() != nodes.inputs.size())
    throw Error(Exit::kInput, "inputs", std::to_string(inputs.size()) + ", the file has " + std::to_string(nodes.inputs.size()));
  const std::vector<const commands::OnnxNode*> order = in_order(nodes);
  std::map<std::string, int> users;
  for (const commands::OnnxNode* node : order) {
    Call call(*node, {}, nodes.opset);
    const bool own_domain = node->domain.empty() || node->domain == "ai.onnx";
    if (!own_domain || core::find_body("onnx-reference", node->op) == nullptr) call.fail("is an op that is not run here");
    for (const std::string& input : node->inputs) ++users[input];
  }
  for (const std::string& output : nodes.outputs) ++users[output];
  std::map<std::string, at::Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) values[nodes.inputs[i]] = inputs[i];
  const auto find = [&](const std::string& name) -> at::Tensor {
    if (name.empty()) return {};
    if (const auto value = values.find(name); value != values.end()) return value->second;
    if (const auto tensor = nodes.tensors.find(name); tensor != nodes.tensors.end()) return exec::to_tensor(tensor->second);
    throw Error(Exit::kInput, "value '" + name.substr(0, 128) + "'", "is no input and no tensor, and no node makes it");
  };
  for (const commands::OnnxNode* node : order) {
    std::vector<at::Tensor> read;
    for (const std::string& input : node->inputs) read.push_back(find(input));
    std::vector<at::Tensor> made = core::body<NodeOp>("onnx-reference", node->op)(Call(*node, std::move(read), nodes.opset));
    for (std::size_t i = 0; i < made.size() && i < node->outputs.size(); ++i)
      if (users.count(node->outputs[i])) values[node->outputs[i]] = std::move(made[i]);
    for (const std::string& input : node->inputs)
      if (--users[input] == 0) values.erase(input);
  }
  std::vector<at::Tensor> outputs;
  for (const std::string& output : nodes.outputs) outputs.push_back(find(output));
  return outputs;
}

}  // namespace ds::reference
