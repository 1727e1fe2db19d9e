// Inputs for any graph, to hold two ways of running it against each other.
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <set>

#include "engine/exec/torchscript.h"

namespace ds::exec {
namespace {

/// splitmix64 to [-1, 1).
double uniform(std::uint64_t i) {
  std::uint64_t z = i * 0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return 2.0 * static_cast<double>(z >> 11) / 9007199254740992.0 - 1.0;
}

/// Rows of the smallest table that looks an input up; 0 where none does.
std::int64_t rows_of(const graph::Graph& graph, const std::string& input) {
  std::int64_t rows = 0;
  for (const graph::Node* node : graph.users(input)) {
    if (node->op != "embedding") continue;
    const std::int64_t n = graph.tensor(node->slots.at("weight").tensor).shape.at(0);
    rows = rows == 0 ? n : std::min(rows, n);
  }
  return rows;
}

at::Tensor sample(const graph::Graph& graph, const graph::Input& input, const graph::Bindings& sizes) {
  std::vector<std::int64_t> shape;
  for (const graph::Dim& dim : input.type.dims) shape.push_back(dim.evaluate(sizes));
  const at::ScalarType type = scalar_type(input.type.dtype);
  if (at::isFloatingType(type)) {
    const at::Tensor x = at::empty(shape, at::kDouble);
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data_ptr<double>()[i] = uniform(static_cast<std::uint64_t>(i));
    return x.to(type);
  }
  const at::Tensor x = at::ones(shape, at::kLong);
  const std::int64_t rows = rows_of(graph, input.name), last = shape.empty() ? 1 : shape.back();
  auto* values = x.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (rows > 0) values[i] = (7 * i + 3) % rows;
    else if (last > 1 && i % last == last - 1 && i / last % 2 == 1) values[i] = 0;
  }
  return x.to(type);
}

}  // namespace

std::vector<at::Tensor> sample_inputs(const graph::Graph& graph, const graph::Bindings& sizes) {
  std::vector<at::Tensor> inputs;
  for (const graph::Input& input : graph.inputs) inputs.push_back(sample(graph, input, sizes));
  return inputs;
}

std::vector<std::string> open_sizes(const graph::Graph& graph) {
  std::set<std::string> names;
  for (const graph::Input& input : graph.inputs)
    for (const graph::Dim& dim : input.type.dims) names.merge(dim.symbols());
  return {names.begin(), names.end()};
}

}  // namespace ds::exec
