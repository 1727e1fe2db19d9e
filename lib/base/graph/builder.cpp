#include "base/graph/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace builder {

// Puts the tensors from `first` on in the order of the slots that the schema states.
void order_tail(Graph& graph, std::size_t first, const Node& node, const std::vector<SlotSpec>& specs) {
  const auto place = [&](const TensorSpec& tensor) {
    return std::find_if(specs.begin(), specs.end(),
                        [&](const SlotSpec& spec) {
                          const auto it = node.slots.find(spec.name);
                          return it != node.slots.end() && it->second.tensor == tensor.name;
                        }) -
           specs.begin();
  };
  std::stable_sort(graph.tensors.begin() + static_cast<std::ptrdiff_t>(first), graph.tensors.end(),
                   [&](const TensorSpec& a, const TensorSpec& b) { return place(a) < place(b); });
}

}  // namespace builder

Value Builder::input(const std::string& name, DType dtype, std::vector<Dim> dims) {
  ValueType type{dtype, std::move(dims)};
  types_[name] = type;
  graph_.inputs.push_back(Input{name, std::move(type)});
  return name;
}

void Builder::output(const std::string& name, const Value& value) { graph_.outputs.push_back(Output{name, value}); }

void Builder::tensor(TensorSpec spec) { pending_.push_back(std::move(spec)); }

const ValueType& Builder::type(const Value& value) const {
  const auto it = types_.find(value);
  if (it == types_.end()) throw Error(Exit::kInput, "", fmt::format("there is no value '{}' yet", value));
  return it->second;
}

Value Builder::node(const std::string& op_name, const std::string& name, const std::vector<Value>& inputs, Json attrs,
                    std::map<std::string, Slot> slots, const std::set<std::string>& without) {
  const std::string where = fmt::format("node '{}' ({})", name, op_name);
  if (types_.count(name)) throw Error(Exit::kInput, where, "its name is taken");
  Node node;
  node.name = name;
  node.op = op_name;
  node.attrs = std::move(attrs);
  node.inputs = inputs;
  node.slots = std::move(slots);
  std::vector<ValueType> input_types;
  for (const Value& value : inputs) {
    const auto it = types_.find(value);
    if (it == types_.end()) throw Error(Exit::kInput, where, fmt::format("reads '{}', which no input or node makes", value));
    input_types.push_back(it->second);
  }
  const auto place = [&](const std::string& tensor) {  // from those added by hand into the table
    for (auto it = pending_.begin(); it != pending_.end(); ++it) {
      if (it->name != tensor) continue;
      graph_.tensors.push_back(std::move(*it));
      pending_.erase(it);
      return;
    }
  };
  // A slot may state what its op's schema asks (the free tensor), so tensors that are named must be there before.
  const std::size_t first = graph_.tensors.size();
  for (const auto& [slot_name, slot] : node.slots) place(slot.tensor);
  const NodeView view(graph_, node, std::move(input_types));
  check_attributes(view);
  std::set<std::string> left = without;
  const std::vector<SlotSpec> specs = op(op_name).slots(view);
  for (const SlotSpec& spec : specs) {
    if (node.slots.count(spec.name)) continue;
    if (spec.optional && left.erase(spec.name)) continue;
    const std::string tensor = name + "." + spec.name;
    place(tensor);
    if (!graph_.find_tensor(tensor)) graph_.tensors.push_back(TensorSpec{tensor, spec.dtype, spec.shape, spec.role, spec.init});
    node.slots[spec.name] = Slot{tensor};
  }
  builder::order_tail(graph_, first, node, specs);
  if (!left.empty()) view.fail(fmt::format("has no optional slot '{}'", *left.begin()));
  const std::vector<ValueType> types = infer_node(view);
  node.outputs = static_cast<int>(types.size());
  for (std::size_t i = 0; i < types.size(); ++i) types_[node.output(static_cast<int>(i))] = types[i];
  graph_.nodes.push_back(std::move(node));
  return name;
}

Value Builder::conv2d(const std::string& name, const Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                      bool bias, std::int64_t groups) {
  Json attrs = {{"out_channels", out}, {"kernel", {kernel, kernel}}};
  if (stride != 1) attrs["stride"] = {stride, stride};
  if (padding != 0) attrs["padding"] = {padding, padding};
  if (groups != 1) attrs["groups"] = groups;
  return node("conv2d", name, {x}, std::move(attrs), {}, bias ? std::set<std::string>{} : std::set<std::string>{"bias"});
}

Value Builder::linear(const std::string& name, const Value& x, std::int64_t out, bool bias) {
  return node("linear", name, {x}, {{"out_features", out}}, {}, bias ? std::set<std::string>{} : std::set<std::string>{"bias"});
}

Value Builder::batch_norm2d(const std::string& name, const Value& x, double eps, double momentum) {
  Json attrs = Json::object();
  if (eps != 1e-5) attrs["eps"] = eps;
  if (momentum != 0.1) attrs["momentum"] = momentum;
  return node("batch_norm2d", name, {x}, std::move(attrs));
}

Value Builder::layer_norm(const std::string& name, const Value& x, double eps) {
  Json attrs = Json::object();
  if (eps != 1e-5) attrs["eps"] = eps;
  return node("layer_norm", name, {x}, std::move(attrs));
}

Value Builder::relu(const std::string& name, const Value& x) { return node("relu", name, {x}); }
Value Builder::gelu(const std::string& name, const Value& x) { return node("gelu", name, {x}); }
Value Builder::add(const std::string& name, const Value& a, const Value& b) { return node("add", name, {a, b}); }
Value Builder::dropout(const std::string& name, const Value& x, double p) { return node("dropout", name, {x}, {{"p", p}}); }

Value Builder::max_pool2d(const std::string& name, const Value& x, std::int64_t kernel, std::int64_t stride, std::int64_t padding, bool ceil) {
  Json attrs = {{"kernel", {kernel, kernel}}, {"stride", {stride, stride}}};
  if (ceil) attrs["ceil_mode"] = true;
  if (padding != 0) attrs["padding"] = {padding, padding};
  return node("max_pool2d", name, {x}, std::move(attrs));
}

Value Builder::global_avg_pool(const std::string& name, const Value& x) { return node("global_avg_pool", name, {x}); }

Value Builder::flatten(const std::string& name, const Value& x, std::int64_t start) {
  Json attrs = Json::object();
  if (start != 1) attrs["start"] = start;
  return node("flatten", name, {x}, std::move(attrs));
}

Graph Builder::finish(Json meta) {
  for (TensorSpec& spec : pending_) graph_.tensors.push_back(std::move(spec));
  graph_.meta = std::move(meta);
  verify(graph_, "");
  Graph result = std::move(graph_);
  *this = Builder();
  return result;
}

}  // namespace ds::graph
