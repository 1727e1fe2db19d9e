// What adapters learned, put into the weights beside them.
#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/graph/adapters.h"
#include "base/graph/passes.h"
#include "base/graph/schema.h"
#include "base/io/cast.h"

namespace ds::graph {
namespace merging {

using Tensors = std::map<std::string, io::Array>;

/// A matrix [rows, columns], row-major.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;
  double& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  double at(std::int64_t r, std::int64_t c) const { return values[static_cast<std::size_t>(r * columns + c)]; }
};

const io::Array& array(const Tensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || !found->second.data) throw Error(Exit::kInput, fmt::format("tensor '{}'", name), "its values are missing");
  return found->second;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{a.rows, b.columns, std::vector<double>(static_cast<std::size_t>(a.rows * b.columns))};
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t k = 0; k < a.columns; ++k)
      for (std::int64_t j = 0; j < b.columns; ++j) c.at(i, j) += a.at(i, k) * b.at(k, j);
  return c;
}

std::vector<std::int64_t> pair(const Node& node, const char* name) { return full_attributes(node).at(name).get<std::vector<std::int64_t>>(); }

bool pointwise(const Node& node) {
  return node.op == "conv2d" && pair(node, "kernel") == std::vector<std::int64_t>{1, 1} && full_attributes(node).at("groups") == 1;
}

/// What the chain computes as one matrix [out, in], where it is linear and has no offset; empty (rows = 0) else.
Matrix matrix_of(const Graph& graph, const Tensors& tensors, const Json& branch) {
  Matrix all;
  double factor = 1;
  for (const Json& name : branch) {
    const Node* node = graph.find_node(name.get<std::string>());
    if (!node) return {};
    if (node->op == "dropout" || node->op == "identity") continue;
    if (node->op == "scale") {
      factor *= full_attributes(*node).at("factor").get<double>();
      continue;
    }
    const bool transposed = node->op == "linear" && full_attributes(*node).at("transposed").get<bool>();
    if ((node->op != "linear" && !pointwise(*node)) || transposed || node->slots.count("bias")) return {};
    const io::Array& weight = array(tensors, node->slots.at("weight").tensor);
    Matrix own{weight.shape[0], weight.shape[1], std::vector<double>(static_cast<std::size_t>(weight.numel()))};
    for (std::int64_t i = 0; i < weight.numel(); ++i) own.values[static_cast<std::size_t>(i)] = io::element(weight, i);
    all = all.rows == 0 ? std::move(own) : product(own, all);
  }
  for (double& value : all.values) value *= factor;
  return all;
}

/// Whether a convolution's middle tap sees what the chain of 1x1 convolutions sees: the same places, at its stride.
bool meets(const Graph& graph, const Node& conv, const Json& site) {
  const std::vector<std::int64_t> kernel = pair(conv, "kernel"), padding = pair(conv, "padding"), dilation = pair(conv, "dilation");
  if (full_attributes(conv).at("groups") != 1) return false;
  if (site.at("from") == "output") return true;
  for (std::size_t d = 0; d < 2; ++d) {
    const std::int64_t before = padding[d];
    if (kernel[d] % 2 == 0 || before != dilation[d] * (kernel[d] - 1) / 2) return false;
  }
  std::vector<std::int64_t> strides{1, 1};
  for (const Json& name : site.at("branch")) {
    const Node* node = graph.find_node(name.get<std::string>());
    if (!node || node->op != "conv2d") continue;
    for (std::size_t d = 0; d < 2; ++d) strides[d] *= pair(*node, "stride")[d];
    for (const std::int64_t side : pair(*node, "padding"))
      if (side != 0) return false;
  }
  return strides == pair(conv, "stride");
}

void put(io::Array& array, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (array.dtype == DType::kF64)
      array.as<double>()[i] = values[i];
    else
      array.as<float>()[i] = static_cast<float>(values[i]);
  }
}

std::vector<double> doubles(const io::Array& array) {
  std::vector<double> values(static_cast<std::size_t>(array.numel()));
  for (std::int64_t i = 0; i < array.numel(); ++i) values[static_cast<std::size_t>(i)] = io::element(array, i);
  return values;
}

/// W' = W + M at the middle tap, or W' = W + M W and b' = b + M b where the chain reads the output. Copies are changed: `tensors` may map a file.
void add_to(const Node& base, const Matrix& m, bool from_output, Tensors& tensors) {
  const Slot& slot = base.slots.at("weight");
  const io::Array& old = array(tensors, slot.tensor);
  const bool transposed = base.op == "linear" && full_attributes(base).at("transposed").get<bool>();
  const std::vector<double> before = doubles(old);
  std::vector<double> w = before;
  const std::int64_t taps = base.op == "conv2d" ? old.shape[2] * old.shape[3] : 1, middle = taps / 2;
  std::vector<std::int64_t> shape{old.shape[0], old.shape[1]}, first{0, 0};  // of the layer's part of the tensor
  if (!slot.whole()) shape[static_cast<std::size_t>(slot.axis)] = slot.end - slot.begin, first[static_cast<std::size_t>(slot.axis)] = slot.begin;
  const std::int64_t out = shape[transposed ? 1 : 0], in = shape[transposed ? 0 : 1];
  const auto place = [&](std::int64_t o, std::int64_t i, std::int64_t tap) {
    const std::int64_t row = first[0] + (transposed ? i : o), column = first[1] + (transposed ? o : i);
    return static_cast<std::size_t>((row * old.shape[1] + column) * taps + tap);
  };
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t i = 0; i < in; ++i) {
      if (!from_output) {
        w[place(o, i, middle)] += m.at(o, i);
        continue;
      }
      for (std::int64_t tap = 0; tap < taps; ++tap)
        for (std::int64_t k = 0; k < out; ++k) w[place(o, i, tap)] += m.at(o, k) * before[place(k, i, tap)];
    }
  }
  io::Array changed = io::make_array(old.dtype, old.shape);
  put(changed, w);
  tensors[slot.tensor] = std::move(changed);
  if (!from_output || !base.slots.count("bias")) return;
  const Slot& offset = base.slots.at("bias");
  const std::string& bias = offset.tensor;
  const std::vector<double> b = doubles(array(tensors, bias));
  const std::int64_t begin = offset.whole() ? 0 : offset.begin;
  std::vector<double> sum = b;
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t k = 0; k < out; ++k) sum[static_cast<std::size_t>(begin + o)] += m.at(o, k) * b[static_cast<std::size_t>(begin + k)];
  io::Array moved = io::make_array(array(tensors, bias).dtype, {static_cast<std::int64_t>(b.size())});
  put(moved, sum);
  tensors[bias] = std::move(moved);
}

}  // namespace merging

std::vector<std::string> merge_adapters(Graph& graph, std::map<std::string, io::Array>& tensors) {
  using namespace merging;
  if (!graph.meta.contains("adapter")) return {};
  std::vector<std::string> merged;
  Json left = Json::array();
  for (const Json& site : graph.meta.at("adapter").at("sites")) {
    const Node* base = graph.find_node(site.at("base").get<std::string>());
    const std::string add = site.at("add").get<std::string>();
    const bool layer = base && graph.find_node(add) && (base->op == "linear" || (base->op == "conv2d" && meets(graph, *base, site)));
    const Matrix m = layer ? matrix_of(graph, tensors, site.at("branch")) : Matrix{};
    if (m.rows == 0) {
      left.push_back(site);
      continue;
    }
    add_to(*base, m, site.at("from") == "output", tensors);
    merged.push_back(base->name);
    replace_value(graph, add, base->name);
  }
  if (left.empty())
    graph.meta.erase("adapter");
  else
    graph.meta["adapter"]["sites"] = left;
  for (const std::string& name : remove_dead(graph)) tensors.erase(name);
  verify(graph, "with merged adapters");
  return merged;
}

}  // namespace ds::graph
