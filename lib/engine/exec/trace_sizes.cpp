#include "engine/exec/trace_sizes.h"

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <unordered_map>

#include "base/core/error.h"

namespace ds::exec {
namespace {

namespace jit = torch::jit;

[[noreturn]] void fail(const std::string& what) {
  throw Error(Exit::kFailure, "TorchScript", what, "the net is not to be had as TorchScript with open sizes");
}

std::vector<jit::Node*> nodes_of(const jit::Graph& graph) {
  std::vector<jit::Node*> nodes;
  for (jit::Node* node : const_cast<jit::Graph&>(graph).nodes()) nodes.push_back(node);
  return nodes;
}

/// Every value by its place: inputs first, then the outputs of the nodes.
std::unordered_map<const jit::Value*, std::size_t> places(const jit::Graph& graph) {
  std::unordered_map<const jit::Value*, std::size_t> found;
  for (const jit::Value* value : graph.inputs()) found.emplace(value, found.size());
  for (jit::Node* node : nodes_of(graph))
    for (const jit::Value* value : node->outputs()) found.emplace(value, found.size());
  return found;
}

void check_same_shape(const jit::Graph& a, const jit::Graph& b) {
  const auto of_a = nodes_of(a), of_b = nodes_of(b);
  const auto places_a = places(a), places_b = places(b);
  bool same = of_a.size() == of_b.size() && a.outputs().size() == b.outputs().size();
  std::string at;
  for (std::size_t i = 0; same && i < of_a.size(); ++i) {
    const jit::Node &x = *of_a[i], &y = *of_b[i];
    same = x.kind() == y.kind() && x.inputs().size() == y.inputs().size() && x.outputs().size() == y.outputs().size() && x.blocks().empty();
    for (std::size_t k = 0; same && k < x.inputs().size(); ++k) same = places_a.at(x.input(k)) == places_b.at(y.input(k));
    if (!same) at = fmt::format(": {} and {}", x.kind().toQualString(), y.kind().toQualString());
  }
  if (!same) fail("what is computed depends on the sizes of the inputs" + at);
}

/// Integers of a constant that may depend on sizes: one, or a list. False for other constants.
bool integers(const c10::IValue& value, std::vector<std::int64_t>& list) {
  if (value.isInt()) list = {value.toInt()};
  else if (value.isIntList()) list = value.toIntVector();
  else return false;
  return true;
}

bool equal(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    const at::Tensor &x = a.toTensor(), &y = b.toTensor();
    return x.defined() == y.defined() && (!x.defined() || (x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() && at::equal(x, y)));
  }
  return a == b;
}

class Generalizer {
 public:
  Generalizer(std::vector<SizedTrace>& traces, const std::map<std::string, SizeSource>& sources) : traces_(traces), graph_(*traces.front().graph) {
    for (const auto& [name, source] : sources) names_.push_back(name), sources_.push_back(source);
  }

  void run() {
    std::vector<std::vector<jit::Node*>> all;
    for (const SizedTrace& trace : traces_) {
      check_same_shape(graph_, *trace.graph);
      all.push_back(nodes_of(*trace.graph));
    }
    for (std::size_t i = 0; i < all[0].size(); ++i) {
      if (all[0][i]->kind() != c10::prim::Constant) continue;
      std::vector<c10::IValue> values;
      for (const auto& nodes : all) values.push_back(jit::toIValue(nodes[i]->output()).value_or(c10::IValue()));
      if (!std::all_of(values.begin(), values.end(), [&](const c10::IValue& v) { return equal(v, values[0]); })) replace(all[0][i], values);
    }
  }

 private:
  void replace(jit::Node* node, const std::vector<c10::IValue>& values) {
    std::vector<std::vector<std::int64_t>> lists(values.size());
    for (std::size_t t = 0; t < values.size(); ++t)
      if (!integers(values[t], lists[t]) || lists[t].size() != lists[0].size())
        fail(fmt::format("a constant that is no integer depends on the sizes of the inputs: {}", values[t].tagKind()));
    const jit::WithInsertPoint point(node);
    std::vector<jit::Value*> elements;
    for (std::size_t e = 0; e < lists[0].size(); ++e) {
      std::vector<std::int64_t> samples;
      for (const auto& list : lists) samples.push_back(list[e]);
      elements.push_back(polynomial(samples));
    }
    jit::Value* value = values[0].isInt() ? elements[0] : graph_.insertNode(graph_.createList(c10::IntType::get(), elements))->output();
    node->output()->replaceAllUsesWith(value);
    node->destroy();
  }

  /// Trace t < 2^k has size i at its high value where bit i of t is set. Lagrange's form, multiplied out into coefficients of products.
  jit::Value* polynomial(const std::vector<std::int64_t>& samples) {
    const std::size_t corners = std::size_t{1} << names_.size();
    std::vector<double> c(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(corners));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const double low = size(0, i), high = size(corners - 1, i);
      for (std::size_t s = 0; s < corners; ++s) {
        if (s >> i & 1) continue;
        const double a = c[s], b = c[s | std::size_t{1} << i];
        c[s | std::size_t{1} << i] = (b - a) / (high - low);
        c[s] = a - low * (b - a) / (high - low);
      }
    }
    double checked = 0;
    for (std::size_t s = 0; s < corners; ++s) {
      double product = c[s];
      for (std::size_t i = 0; i < names_.size(); ++i)
        if (s >> i & 1) product *= size(corners, i);
      checked += product;
      if (c[s] != static_cast<double>(static_cast<std::int64_t>(c[s]))) fail("an integer depends on the sizes of the inputs other than by products and sums");
    }
    if (checked != static_cast<double>(samples.at(corners))) fail("an integer depends on the sizes of the inputs other than by products and sums");
    jit::Value* sum = nullptr;
    for (std::size_t s = 0; s < corners; ++s) {
      if (c[s] == 0) continue;
      jit::Value* term = s == 0 ? constant(c[s]) : monomial(s);
      if (s != 0 && c[s] != 1) term = graph_.insert(c10::aten::mul, {term, constant(c[s])});
      sum = sum ? graph_.insert(c10::aten::add, {sum, term}) : term;
    }
    return sum ? sum : constant(0);
  }

  jit::Value* constant(double value) { return jit::insertConstant(graph_, static_cast<std::int64_t>(value)); }

  jit::Value* monomial(std::size_t subset) {
    jit::Value* product = nullptr;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (!(subset >> i & 1)) continue;
      jit::Value* factor = graph_.insert(c10::aten::size, {graph_.inputs().at(sources_[i].input), constant(static_cast<double>(sources_[i].dim))});
      product = product ? graph_.insert(c10::aten::mul, {product, factor}) : factor;
    }
    return product;
  }

  double size(std::size_t trace, std::size_t name) const { return static_cast<double>(traces_.at(trace).sizes.at(names_[name])); }

  std::vector<SizedTrace>& traces_;
  jit::Graph& graph_;
  std::vector<std::string> names_;
  std::vector<SizeSource> sources_;
};

}  // namespace

void generalize(std::vector<SizedTrace>& traces, const std::map<std::string, SizeSource>& sources) { Generalizer(traces, sources).run(); }

}  // namespace ds::exec
