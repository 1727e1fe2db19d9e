#include "base/graph/passes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/error.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace passes {

bool is_output(const Graph& graph, const std::string& value) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(), [&](const Output& output) { return output.value == value; });
}

bool op_fits(const std::string& op, const std::string& wanted) {
  for (std::size_t begin = 0; begin <= wanted.size();) {
    const std::size_t end = std::min(wanted.find('|', begin), wanted.size());
    if (wanted.compare(begin, end - begin, op) == 0) return true;
    begin = end + 1;
  }
  return false;
}

float half_to_float(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const float sign = half & 0x8000 ? -1.0F : 1.0F;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

std::vector<double> doubles(const std::map<std::string, io::Array>& tensors, const std::string& name) {
  const auto it = tensors.find(name);
  if (it == tensors.end() || !it->second.data) throw Error(Exit::kInput, fmt::format("tensor '{}'", name), "its values are missing");
  const io::Array& array = it->second;
  std::vector<double> values(static_cast<std::size_t>(array.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (array.dtype) {
      case DType::kF64:
        values[i] = array.as<double>()[i];
        break;
      case DType::kF32:
        values[i] = static_cast<double>(array.as<float>()[i]);
        break;
      case DType::kF16:
        values[i] = static_cast<double>(half_to_float(array.as<std::uint16_t>()[i]));
        break;
      case DType::kBF16: {
        const std::uint32_t bits = std::uint32_t{array.as<std::uint16_t>()[i]} << 16;
        float value = 0;
        std::memcpy(&value, &bits, sizeof value);
        values[i] = static_cast<double>(value);
        break;
      }
      default:
        throw Error(Exit::kInput, fmt::format("tensor '{}'", name), fmt::format("is {}, expected a float type", io::dtype_name(array.dtype)));
    }
  }
  return values;
}

io::Array floats(const std::vector<double>& values, const std::vector<std::int64_t>& shape) {
  io::Array array = io::make_array(DType::kF32, shape);
  std::transform(values.begin(), values.end(), array.as<float>(), [](double v) { return static_cast<float>(v); });
  return array;
}

// Every slot is a whole tensor that no other slot points to.
bool owns_its_tensors(const Graph& graph, const Node& node) {
  for (const auto& [name, slot] : node.slots) {
    if (!slot.whole()) return false;
    int uses = 0;
    for (const Node& other : graph.nodes) {
      for (const auto& [other_name, other_slot] : other.slots) uses += other_slot.tensor == slot.tensor;
    }
    if (uses != 1) return false;
  }
  return true;
}

// The tensor of a node's bias; a new one is zero and stands behind the weight.
std::string bias_of(Folded& folded, Node& node, std::int64_t channels) {
  if (const auto it = node.slots.find("bias"); it != node.slots.end()) return it->second.tensor;
  std::string name = node.name + ".bias";
  while (folded.graph.find_tensor(name)) name += "_folded";
  const std::string& weight = node.slots.at("weight").tensor;
  auto at = std::find_if(folded.graph.tensors.begin(), folded.graph.tensors.end(), [&](const TensorSpec& spec) { return spec.name == weight; });
  folded.graph.tensors.insert(at + 1, TensorSpec{name, DType::kF32, {channels}, Role::kParameter, {{"kind", "zeros"}}});
  folded.tensors[name] = floats(std::vector<double>(static_cast<std::size_t>(channels)), {channels});
  node.slots["bias"] = Slot{name};
  return name;
}

void set_floats(Folded& folded, const std::string& name, const std::vector<double>& values) {
  TensorSpec* spec = folded.graph.find_tensor(name);
  spec->dtype = DType::kF32;
  folded.tensors[name] = floats(values, spec->shape);
}

void fold(Folded& folded, Node& layer, const Node& norm) {
  const std::string weight = layer.slots.at("weight").tensor;
  const auto of_norm = [&](const char* slot) { return doubles(folded.tensors, norm.slots.at(slot).tensor); };
  const std::vector<double> gamma = of_norm("weight"), beta = of_norm("bias"), mean = of_norm("running_mean"), variance = of_norm("running_var");
  const double eps = full_attributes(norm).at("eps").get<double>();
  const std::int64_t channels = folded.graph.tensor(weight).shape[0];
  const std::string bias = bias_of(folded, layer, channels);
  std::vector<double> w = doubles(folded.tensors, weight), b = doubles(folded.tensors, bias);
  const std::size_t n = static_cast<std::size_t>(channels);
  for (const std::vector<double>* list : std::initializer_list<const std::vector<double>*>{&gamma, &beta, &mean, &variance, &b}) {
    if (list->size() != n || w.size() % n != 0)
      throw Error(Exit::kInput, fmt::format("node '{}'", norm.name), fmt::format("a tensor has {} values, expected {}", list->size(), n));
  }
  const std::size_t row = w.size() / n;
  for (std::size_t c = 0; c < n; ++c) {
    const double scale = gamma[c] / std::sqrt(variance[c] + eps);
    for (std::size_t i = 0; i < row; ++i) w[c * row + i] *= scale;
    b[c] = (b[c] - mean[c]) * scale + beta[c];
  }
  set_floats(folded, weight, w);
  set_floats(folded, bias, b);
}

}  // namespace passes

void replace_value(Graph& graph, const std::string& value, const std::string& by) {
  for (Node& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), value, by);
  for (Output& output : graph.outputs) {
    if (output.value == value) output.value = by;
  }
}

void set_dropout(Graph& graph, double p) {
  if (p < 0) return;
  bool found = false;
  for (Node& node : graph.nodes)
    if (node.op == "dropout") {
      node.attrs["p"] = p;
      found = true;
    }
  if (found && graph.meta.contains("options")) graph.meta["options"]["dropout"] = p;
  if (!found && p > 0) throw Error(Exit::kUsage, "--dropout", "the model has no dropout layer", "leave it out, or train a model that has one");
}

std::set<std::string> remove_dead(Graph& graph) {
  std::set<std::string> live;  // nodes
  const auto node_of = [](const std::string& value) { return value.substr(0, value.find(':')); };
  for (const Output& output : graph.outputs) live.insert(node_of(output.value));
  for (auto it = graph.nodes.rbegin(); it != graph.nodes.rend(); ++it) {
    if (!live.count(it->name)) continue;
    for (const std::string& value : it->inputs) live.insert(node_of(value));
  }
  std::erase_if(graph.nodes, [&](const Node& node) { return !live.count(node.name); });
  std::set<std::string> used, dropped;
  for (const Node& node : graph.nodes) {
    for (const auto& [name, slot] : node.slots) used.insert(slot.tensor);
  }
  for (const TensorSpec& spec : graph.tensors) {
    if (!used.count(spec.name)) dropped.insert(spec.name);
  }
  std::erase_if(graph.tensors, [&](const TensorSpec& spec) { return !used.count(spec.name); });
  return dropped;
}

std::vector<std::string> find_chain(const Graph& graph, const std::string& first, const std::vector<std::string>& ops) {
  std::vector<std::string> chain;
  const Node* node = graph.find_node(first);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!node || !passes::op_fits(node->op, ops[i])) return {};
    chain.push_back(node->name);
    if (i + 1 == ops.size()) break;
    const std::vector<const Node*> users = graph.users(node->name);
    const bool alone = users.size() == 1 && node->outputs == 1 && !passes::is_output(graph, node->name) &&
                       std::count(users[0]->inputs.begin(), users[0]->inputs.end(), node->name) == 1;
    if (!alone) return {};
    node = users[0];
  }
  return chain;
}

Folded fold_batch_norm(const Graph& graph, const std::map<std::string, io::Array>& tensors) {
  const std::map<std::string, ValueType> types = infer_types(graph);
  Folded folded{graph, tensors, {}};
  std::vector<std::string> layers;
  for (const Node& node : graph.nodes) {
    const bool linear = node.op == "linear" && !full_attributes(node).at("transposed").get<bool>() &&  // its rows are not the channels
                        types.at(node.name).dims.size() == 2;                                          // else the norm's axis 1 is not the last
    if (node.op == "conv2d" || linear) layers.push_back(node.name);
  }
  for (const std::string& name : layers) {
    const std::vector<std::string> chain = find_chain(folded.graph, name, {"conv2d|linear", "batch_norm2d"});
    if (chain.empty()) continue;
    Node& layer = *folded.graph.find_node(chain[0]);
    const Node norm = *folded.graph.find_node(chain[1]);
    if (!passes::owns_its_tensors(folded.graph, layer)) continue;
    if (std::any_of(norm.slots.begin(), norm.slots.end(), [](const auto& entry) { return !entry.second.whole(); })) continue;
    passes::fold(folded, layer, norm);
    replace_value(folded.graph, norm.name, layer.name);
    std::erase_if(folded.graph.nodes, [&](const Node& node) { return node.name == norm.name; });
    folded.folded.push_back(norm.name);
  }
  for (const std::string& dropped : remove_dead(folded.graph)) folded.tensors.erase(dropped);
  verify(folded.graph, "after folding batch norms");
  return folded;
}

}  // namespace ds::graph
