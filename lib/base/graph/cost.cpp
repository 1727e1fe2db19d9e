#include "base/core/error.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace costs {

std::int64_t bytes(std::int64_t elements, DType dtype) { return (elements * io::dtype_bits(dtype) + 7) / 8; }

std::int64_t elements(const ValueType& type, const Bindings& bindings) {
  Dim product = 1;
  for (const Dim& dim : type.dims) product = product * Dim(dim.evaluate(bindings));
  return product.value();
}

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

}  // namespace costs

Bindings bind_all(const Graph& graph, Bindings given) {
  for (const Input& input : graph.inputs)
    for (const Dim& dim : input.type.dims)
      for (const std::string& symbol : dim.symbols()) given.emplace(symbol, symbol == "N" ? 1 : kUsualLength);  // what is given stays
  return given;
}

std::vector<std::pair<std::string, Cost>> node_costs(const Graph& graph, const Bindings& given) {
  const Bindings bindings = bind_all(graph, given);
  const std::map<std::string, ValueType> types = infer_types(graph);
  std::vector<std::pair<std::string, Cost>> result;
  for (const Node& node : graph.nodes) {
    std::vector<ValueType> inputs;
    for (const std::string& value : node.inputs) inputs.push_back(types.at(value));
    const NodeView view(graph, node, std::move(inputs));
    Cost cost;
    try {
      cost.macs = op(node.op).macs(view).evaluate(bindings);
      for (int i = 0; i < node.outputs; ++i) {
        const ValueType& type = types.at(node.output(i));
        cost.activation_bytes += costs::bytes(costs::elements(type, bindings), type.dtype);
      }
    } catch (const Error& e) {
      if (!e.where().empty()) throw;
      throw Error(e.code(), view.where(), e.message(), e.hint());
    }
    for (const auto& [name, slot] : node.slots) {
      const TensorSpec& spec = graph.tensor(slot.tensor);
      const std::int64_t n = costs::elements(view.slot_shape(name));
      if (spec.role == Role::kParameter) cost.parameters += n;
      cost.tensor_bytes += costs::bytes(n, spec.dtype);
    }
    result.emplace_back(node.name, cost);
  }
  return result;
}

Cost cost(const Graph& graph, const Bindings& given) {
  const Bindings bindings = bind_all(graph, given);
  Cost total;
  for (const auto& [name, node] : node_costs(graph, bindings)) {
    total.macs += node.macs;
    total.activation_bytes += node.activation_bytes;
  }
  for (const Input& input : graph.inputs) total.activation_bytes += costs::bytes(costs::elements(input.type, bindings), input.type.dtype);
  for (const TensorSpec& spec : graph.tensors) {
    const std::int64_t n = costs::elements(spec.shape);
    if (spec.role == Role::kParameter) total.parameters += n;
    total.tensor_bytes += costs::bytes(n, spec.dtype);
  }
  return total;
}

}  // namespace ds::graph
