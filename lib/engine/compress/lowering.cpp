#include "engine/compress/lowering.h"

#include <ATen/ops/empty.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/passes.h"
#include "base/graph/schema.h"

namespace ds::compress {

using graph::Graph;
using graph::Json;
using graph::Node;

namespace {

bool one_of(const std::string& op, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return op == n; });
}

bool is_weighted(const Node& n) { return one_of(n.op, {"conv2d", "linear"}); }
/// Move elements or choose among them: they run on the codes as they are.
bool keeps_codes(const Node& n) { return one_of(n.op, {"flatten", "reshape", "permute", "reorder", "select", "slice", "split", "concat", "max_pool2d"}); }
bool is_nothing(const Node& n) { return one_of(n.op, {"identity", "dropout", "dropout2d", "drop_path"}); }

bool is_output(const Graph& g, const std::string& value) {
  return std::any_of(g.outputs.begin(), g.outputs.end(), [&](const graph::Output& o) { return o.value == value; });
}

/// The only user of a node's value, or nullptr.
const Node* only_user(const Graph& g, const Node& n) {
  const auto users = g.users(n.output());
  return users.size() == 1 && !is_output(g, n.output()) ? users[0] : nullptr;
}

/// The value that stands for `value` when dropout and identity are gone.
std::string without_nothing(const Graph& g, std::string value) {
  for (const Node* n = g.producer(value); n && is_nothing(*n); n = g.producer(value)) value = n->inputs[0];
  return value;
}

/// Does a value share its range with others than what is chosen from it?
bool meets_others(const Graph& g, const std::string& value) {
  for (const Node* user : g.users(value)) {
    if (user->op == "concat") return true;
    if (!is_nothing(*user) && !keeps_codes(*user)) continue;
    for (int k = 0; k < user->outputs; ++k)
      if (meets_others(g, user->output(k))) return true;
  }
  return false;
}

/// An activation that is the codes' own clamp: ReLU at zero. ReLU6 too, since the range of its output ends at 6 at most, unless other values
/// have a part in that range.
bool is_clamp(const Graph& g, const Node& n) { return n.op == "relu" || (n.op == "relu6" && !meets_others(g, n.output())); }

/// The attribute `activation` of an int8 layer that does this node's work, "" where there is none.
std::string function_of(const Node& n) {
  if (n.op == "gelu") return graph::full_attributes(n).at("approximate") == "tanh" ? "gelu_tanh" : "gelu";
  return one_of(n.op, {"silu", "hardswish", "hardsigmoid", "sigmoid", "tanh"}) ? n.op : "";
}

/// A product that can run on codes: the second value has the first one's shape, or is spread over it.
bool is_gate(const Node& n, const std::map<std::string, graph::ValueType>& types) {
  if (n.op != "mul" || n.inputs[0] == n.inputs[1]) return false;
  const auto &a = types.at(n.inputs[0]).dims, &b = types.at(n.inputs[1]).dims;
  bool fits = a.size() == b.size() && a.size() == 4;
  for (std::size_t i = 0; fits && i < a.size(); ++i) fits = a[i] == b[i] || b[i] == graph::Dim(1);
  return fits;
}

/// Sets of values, joined.
class Sets {
 public:
  std::string root(const std::string& v) {
    auto& up = parent_.emplace(v, v).first->second;
    return up == v ? v : up = root(up);
  }
  void join(const std::string& a, const std::string& b) { parent_[root(a)] = root(b); }
  std::vector<std::vector<std::string>> lists(const std::vector<std::string>& order) {
    std::map<std::string, std::size_t> place;
    std::vector<std::vector<std::string>> result;
    for (const std::string& v : order) {
      const auto [at, fresh] = place.emplace(root(v), result.size());
      if (fresh) result.emplace_back();
      result[at->second].push_back(v);
    }
    return result;
  }

 private:
  std::map<std::string, std::string> parent_;
};

/// Do codes of this value come to a layer with weights or a gate, directly or through what stays codes? A sum that only norms and other such sums
/// read, as those between the layers of a transformer, gains nothing from codes and loses much: a few features of its are far larger than the rest.
bool feeds_weights(const Graph& g, const std::map<std::string, graph::ValueType>& types, const std::string& value, std::map<std::string, bool>& known) {
  if (const auto found = known.find(value); found != known.end()) return found->second;
  bool feeds = false;
  for (const Node* user : g.users(value)) {
    const bool on = is_nothing(*user) || keeps_codes(*user) || one_of(user->op, {"add", "relu", "relu6", "avg_pool2d", "global_avg_pool"});
    feeds = feeds || is_weighted(*user) || is_gate(*user, types);
    for (int k = 0; on && !feeds && k < user->outputs; ++k) feeds = feeds_weights(g, types, user->output(k), known);
  }
  return known[value] = feeds;
}

/// Does a reader of this value run on codes?
bool wants_codes(const Graph& g, const std::map<std::string, graph::ValueType>& types, const std::string& value, std::map<std::string, bool>& known) {
  for (const Node* user : g.users(value)) {
    if (is_nothing(*user) || keeps_codes(*user)) {
      for (int k = 0; k < user->outputs; ++k)
        if (wants_codes(g, types, user->output(k), known)) return true;
    } else if (is_weighted(*user) || is_gate(*user, types) || one_of(user->op, {"avg_pool2d", "global_avg_pool"}) ||
               (user->op == "add" && feeds_weights(g, types, user->output(), known))) {
      return true;
    }
  }
  return false;
}

}  // namespace

LoweringPlan plan_lowering(const Graph& g, const std::set<std::string>& skip) {
  LoweringPlan plan;
  const auto types = graph::infer_types(g);
  std::map<std::string, bool> known;
  const auto is_sum = [&](const Node& n) {
    return n.op == "add" && types.at(n.inputs[0]).dims == types.at(n.inputs[1]).dims && feeds_weights(g, types, n.output(), known);
  };
  for (const Node& n : g.nodes) {
    const bool weighted = is_weighted(n), sum = is_sum(n);
    const bool gate = is_gate(n, types);
    if (skip.count(n.name) || (!weighted && !sum && !gate) || plan.inner.count(n.name) || plan.by_last.count(n.name)) continue;
    FusedChain chain{{n.name}, ""};
    const Node* next = only_user(g, n);
    if (n.op == "conv2d" && next && is_sum(*next) && !plan.by_last.count(next->name) && !plan.inner.count(next->name) && !skip.count(next->name) &&
        next->inputs[0] != next->inputs[1]) {
      chain.residual = next->inputs[0] == n.output() ? next->inputs[1] : next->inputs[0];
      chain.nodes.push_back(next->name);
      next = only_user(g, *next);
    }
    const bool follows = next && !skip.count(next->name) && !gate;
    if (follows && (is_clamp(g, *next) || (weighted && chain.residual.empty() && !function_of(*next).empty() && wants_codes(g, types, next->output(), known))))
      chain.nodes.push_back(next->name);
    for (std::size_t i = 0; i + 1 < chain.nodes.size(); ++i) plan.inner.insert(chain.nodes[i]);
    plan.by_last[chain.nodes.back()] = chain;
  }
  // Which values become codes: inputs and outputs of int8 ops, and what moves codes about.
  Sets sets;
  std::vector<std::string> order;
  std::set<std::string> seen;
  const auto need = [&](const std::string& v) {
    if (seen.insert(v).second) order.push_back(v);
  };
  for (const Node& n : g.nodes) {
    const auto chain = plan.by_last.find(n.name);
    if (chain != plan.by_last.end()) {
      const Node& first = *g.find_node(chain->second.nodes[0]);
      for (const std::string& input : first.inputs) need(without_nothing(g, input));
      if (!chain->second.residual.empty()) need(without_nothing(g, chain->second.residual));
      need(n.output());
    } else if (!plan.inner.count(n.name) && (keeps_codes(n) || one_of(n.op, {"avg_pool2d", "global_avg_pool"}))) {
      for (const std::string& input : n.inputs) need(without_nothing(g, input));
      for (int k = 0; k < n.outputs; ++k) need(n.output(k));
      if (!keeps_codes(n)) continue;
      for (const std::string& input : n.inputs) sets.join(without_nothing(g, input), n.output());
      for (int k = 1; k < n.outputs; ++k) sets.join(n.output(k), n.output());
    }
  }
  std::vector<std::string> floats;
  for (const std::string& v : order)
    if (io::is_float(types.at(v).dtype)) floats.push_back(v);
  plan.shared_ranges = sets.lists(floats);
  return plan;
}

at::Tensor slot_value(const exec::Model& model, const graph::Slot& slot) {
  const at::Tensor& tensor = model.tensors.at(slot.tensor);
  return slot.whole() ? tensor : tensor.narrow(slot.axis, slot.begin, slot.end - slot.begin);
}

QuantizedWeight quantize_weight(const at::Tensor& weight, const at::Tensor& bias, float x_scale) {
  const at::Tensor w = weight.detach().to(at::kFloat).contiguous();
  const std::int64_t rows = w.size(0), length = w.numel() / rows;
  QuantizedWeight q{at::empty(w.sizes(), w.options().dtype(at::kChar)), at::empty({rows}, w.options())};
  const float* in = w.const_data_ptr<float>();
  const at::Tensor b = bias.defined() ? bias.detach().to(at::kFloat).contiguous() : bias;
  for (std::int64_t r = 0; r < rows; ++r) {
    float most = 0;
    for (std::int64_t i = 0; i < length; ++i) most = std::max(most, std::fabs(in[r * length + i]));
    float s = std::max(most / 127, 1e-12f);
    // A channel of tiny weights with a large bias: its bias must fit 30 bits of s_x * s.
    if (b.defined()) s = std::max(s, std::fabs(b.const_data_ptr<float>()[r]) / (float(1 << 30) * x_scale));
    q.scale.mutable_data_ptr<float>()[r] = s;
    for (std::int64_t i = 0; i < length; ++i)
      q.codes.mutable_data_ptr<std::int8_t>()[r * length + i] = std::int8_t(std::clamp(std::nearbyint(in[r * length + i] / s), -127.f, 127.f));
  }
  return q;
}

at::Tensor quantize_bias(const at::Tensor& bias, float x_scale, const at::Tensor& scale) {
  const at::Tensor step = scale.to(at::kDouble).mul(double(x_scale));
  return bias.detach().to(at::kDouble).div(step).round().clamp(-2147483647.0, 2147483647.0).to(at::kInt);
}

namespace {

/// Builds the int8 graph node by node; each float value may have a float form, codes, or both.
class Lowering {
 public:
  Lowering(const exec::Model& model, const LoweringPlan& plan, const std::map<std::string, QParams>& ranges)
      : model_(model), g_(model.graph), plan_(plan), ranges_(ranges) {
    out_.graph.inputs = g_.inputs;
    out_.graph.meta = g_.meta;
    for (const graph::Input& input : g_.inputs) floats_[input.name] = input.name;
  }

  exec::Model run() {
    for (const Node& n : g_.nodes) visit(n);
    for (const graph::Output& o : g_.outputs) out_.graph.outputs.push_back({o.name, as_float(o.value)});
    graph::remove_dead(out_.graph);
    for (auto it = out_.tensors.begin(); it != out_.tensors.end();) it = out_.graph.find_tensor(it->first) ? std::next(it) : out_.tensors.erase(it);
    graph::verify(out_.graph, "int8 lowering");
    return std::move(out_);
  }

 private:
  void visit(const Node& n) {
    if (plan_.inner.count(n.name)) return;
    const auto chain = plan_.by_last.find(n.name);
    if (chain != plan_.by_last.end() && chain_has_ranges(chain->second)) return visit_chain(n, chain->second);
    if (chain != plan_.by_last.end())
      for (const std::string& name : chain->second.nodes) keep_float(*g_.find_node(name));
    else if (is_nothing(n)) alias(n);
    else if (keeps_codes(n) && codes_.count(n.inputs[0]) && ranges_.count(n.output())) move_codes(n);
    else if (one_of(n.op, {"avg_pool2d", "global_avg_pool"}) && codes_.count(n.inputs[0])) pool(n);
    else keep_float(n);
  }

  bool chain_has_ranges(const FusedChain& chain) const {
    const Node& first = *g_.find_node(chain.nodes[0]);
    return std::all_of(first.inputs.begin(), first.inputs.end(), [&](const std::string& v) { return ranges_.count(without_nothing(g_, v)) != 0; });
  }

  QParams range(const std::string& value) const { return ranges_.at(without_nothing(g_, value)); }

  void alias(const Node& n) {
    if (const auto f = floats_.find(n.inputs[0]); f != floats_.end()) floats_[n.output()] = std::string(f->second);
    if (const auto c = codes_.find(n.inputs[0]); c != codes_.end()) codes_[n.output()] = std::string(c->second);
  }

  static void put(Json& attrs, const std::string& prefix, const QParams& q) {
    attrs[prefix + "_scale"] = q.scale;
    attrs[prefix + "_zero_point"] = q.zero_point;
  }

  std::string as_codes(const std::string& value) {
    if (const auto found = codes_.find(value); found != codes_.end()) return found->second;
    const std::string source = without_nothing(g_, value);
    const QParams q = range(value);
    const Node node{source + ".quantize", "quantize", {{"scale", q.scale}, {"zero_point", q.zero_point}}, {floats_.at(value)}, 1, {}, nullptr};
    if (!out_.graph.find_node(node.name)) out_.graph.nodes.push_back(node);
    return codes_[value] = node.name;
  }

  std::string as_float(const std::string& value) {
    if (const auto found = floats_.find(value); found != floats_.end()) return found->second;
    const QParams q = range(value);
    const Node node{without_nothing(g_, value) + ".dequantize",
                    "dequantize",
                    {{"scale", q.scale}, {"zero_point", q.zero_point}},
                    {codes_.at(value)},
                    1,
                    {},
                    nullptr};
    if (!out_.graph.find_node(node.name)) out_.graph.nodes.push_back(node);
    return floats_[value] = node.name;
  }

  void add_tensor(const std::string& name, at::Tensor value, graph::Role role) {
    graph::TensorSpec spec{name, exec::dtype_of(value.scalar_type()), value.sizes().vec(), role, nullptr};
    out_.graph.tensors.push_back(spec);
    out_.tensors[name] = std::move(value);
  }

  void keep_float(const Node& n) {
    Node copy = n;
    for (std::string& input : copy.inputs) input = io_is_float(input) ? as_float(input) : input;
    for (const auto& [slot, place] : n.slots) {
      if (out_.tensors.count(place.tensor)) continue;
      out_.graph.tensors.push_back(g_.tensor(place.tensor));
      out_.tensors[place.tensor] = model_.tensors.at(place.tensor).detach();
    }
    out_.graph.nodes.push_back(copy);
    for (int k = 0; k < n.outputs; ++k) floats_[n.output(k)] = n.output(k);
  }

  bool io_is_float(const std::string& value) const { return floats_.count(value) || codes_.count(value); }

  void move_codes(const Node& n) {
    Node copy = n;
    for (std::string& input : copy.inputs) input = as_codes(input);
    if (n.op == "max_pool2d") copy.op = "qmax_pool2d";
    out_.graph.nodes.push_back(copy);
    for (int k = 0; k < n.outputs; ++k) codes_[n.output(k)] = n.output(k);
  }

  void pool(const Node& n) {
    Node copy = n;
    copy.op = "q" + n.op;
    copy.inputs = {as_codes(n.inputs[0])};
    put(copy.attrs, "x", range(n.inputs[0]));
    put(copy.attrs, "y", range(n.output()));
    out_.graph.nodes.push_back(copy);
    codes_[n.output()] = n.output();
  }

  /// Would every reader of this value want it as float?
  bool only_float_users(const std::string& value) const {
    for (const Node* user : g_.users(value)) {
      if (is_nothing(*user) ? !only_float_users(user->output())
                            : plan_.by_last.count(user->name) || plan_.inner.count(user->name) || keeps_codes(*user) ||
                                  one_of(user->op, {"avg_pool2d", "global_avg_pool"}))
        return false;
    }
    return true;
  }

  void visit_chain(const Node& last, const FusedChain& chain) {
    const Node& first = *g_.find_node(chain.nodes[0]);
    const bool relu = last.op == "relu" || last.op == "relu6", sum = first.op == "add", gate = first.op == "mul";
    const std::string function = function_of(last);
    Node q{first.name, "q" + first.op, first.attrs, {}, 1, {}, nullptr};
    q.attrs.erase("transposed");
    if (!gate) q.attrs["relu"] = relu;
    if (!function.empty()) q.attrs["activation"] = function;
    if (last.op == "relu6") q.attrs["ceiling"] = 6;
    if (sum || gate) {
      put(q.attrs, "a", range(first.inputs[0]));
      put(q.attrs, "b", range(first.inputs[1]));
    } else {
      put(q.attrs, "x", range(first.inputs[0]));
    }
    for (const std::string& input : first.inputs) q.inputs.push_back(as_codes(input));
    if (!chain.residual.empty()) {
      q.inputs.push_back(as_codes(chain.residual));
      put(q.attrs, "residual", range(chain.residual));
    }
    const bool to_float = !sum && !gate && !relu && function.empty() && chain.residual.empty() && only_float_users(last.output());
    put(q.attrs, "y", to_float ? QParams{} : range(last.output()));
    if (!sum && !gate) {
      q.attrs["dequantize"] = to_float;
      put_weights(first, q);
    }
    out_.graph.nodes.push_back(q);
    (to_float ? floats_ : codes_)[last.output()] = q.name;
  }

  void put_weights(const Node& n, Node& q) {
    const float x_scale = range(n.inputs[0]).scale;
    const auto bias = n.slots.find("bias");
    const at::Tensor b = bias == n.slots.end() ? at::Tensor() : slot_value(model_, bias->second);
    at::Tensor value = slot_value(model_, n.slots.at("weight"));
    if (n.op == "linear" && graph::full_attributes(n).at("transposed").get<bool>()) value = value.t();  // [out, in]: a scale a row
    const QuantizedWeight w = quantize_weight(value, b, x_scale);
    const auto put_slot = [&](const char* slot, const at::Tensor& value, graph::Role role) {
      add_tensor(n.name + "." + slot, value, role);
      q.slots[slot] = graph::Slot{n.name + "." + slot};
    };
    put_slot("weight", w.codes, graph::Role::kParameter);
    put_slot("weight_scale", w.scale, graph::Role::kBuffer);
    if (b.defined()) put_slot("bias", quantize_bias(b, x_scale, w.scale), graph::Role::kParameter);
  }

  const exec::Model& model_;
  const Graph& g_;
  const LoweringPlan& plan_;
  const std::map<std::string, QParams>& ranges_;
  exec::Model out_;
  std::map<std::string, std::string> floats_, codes_;  ///< names in the new graph of each old value's forms
};

}  // namespace

exec::Model lower_to_int8(const exec::Model& model, const LoweringPlan& plan, const std::map<std::string, QParams>& ranges) {
  return Lowering(model, plan, ranges).run();
}

}  // namespace ds::compress
