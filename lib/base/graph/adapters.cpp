#include "base/graph/adapters.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/values.h"
#include "base/graph/passes.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace adapters {

std::string node_of(const std::string& value) { return value.substr(0, value.find(':')); }

bool overlap(const Slot& a, const Slot& b) {
  return a.tensor == b.tensor && (a.whole() || b.whole() || a.axis != b.axis || (a.begin < b.end && b.begin < a.end));
}

/// No other slot reads what this node's slots read: tensors of its own, or parts of one ([q; k; v] in one tensor).
bool owns_weights(const Graph& graph, const Node& node) {
  for (const auto& [name, slot] : node.slots) {
    int uses = 0;
    for (const Node& other : graph.nodes)
      for (const auto& [other_name, other_slot] : other.slots) uses += overlap(slot, other_slot);
    if (uses != 1) return false;
  }
  return node.slots.count("weight") != 0;
}

bool is_norm(const std::string& op) { return op.ends_with("_norm") || op == "batch_norm2d"; }

}  // namespace adapters

void AdapterOptions::fields(core::Fields& f) {
  f.add({.name = "targets", .doc = "layers that get one, by name with * and ?; none given: all that the kind is made for", .value_name = "PATTERN"},
        targets);
  f.add({.name = "last",
         .doc = "only the last so many of these layers, so that nothing goes back through the ones before; 0: all",
         .min = 0,
         .max = 1e6},
        last);
  f.add({.name = "head",
         .doc = "whether the last layer is trained too; auto: where it tells classes, and is small or new",
         .choices = {"auto", "yes", "no"}},
        head);
  f.add({.name = "norms", .doc = "norms are trained too; else they stay, statistics and all"}, norms);
}

AdapterPlace::AdapterPlace(Graph& graph, std::string base, bool from_output) : graph_(graph) {
  site_.base = std::move(base);
  site_.from_output = from_output;
  const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.name == site_.base; });
  at_ = static_cast<std::size_t>(found - graph.nodes.begin()) + 1;
  value_ = from_output ? found->output() : found->inputs.at(0);
}

const Node& AdapterPlace::base() const { return *graph_.find_node(site_.base); }

void AdapterPlace::insert(Node node, bool bias, bool zero) {
  if (graph_.find_node(node.name))
    throw Error(Exit::kUsage, "adapter", fmt::format("the net has a node '{}' already", node.name), "merge its adapters first");
  const std::map<std::string, ValueType> types = infer_types(graph_);
  std::vector<ValueType> inputs;
  for (const std::string& value : node.inputs) inputs.push_back(types.at(value));
  const NodeView view(graph_, node, inputs);
  check_attributes(view);
  for (const SlotSpec& spec : op(node.op).slots(view)) {
    if (spec.optional && !bias) continue;
    const std::string tensor = node.name + "." + spec.name;
    const DType dtype = inputs[0].dtype;  // float64 in a proof
    graph_.tensors.push_back({tensor, dtype, spec.shape, spec.role, zero || spec.name == "bias" ? Json{{"kind", "zeros"}} : spec.init});
    node.slots[spec.name] = Slot{tensor};
  }
  graph_.nodes.insert(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(at_++), std::move(node));
}

void AdapterPlace::chain(const std::string& op, const std::string& name, Json attrs, bool bias, bool zero) {
  Node node;
  node.name = site_.base + "." + name;
  node.op = op;
  node.attrs = std::move(attrs);
  node.inputs = {value_};
  value_ = node.name;
  site_.branch.push_back(node.name);
  insert(std::move(node), bias, zero);
}

AdapterSite AdapterPlace::close(const std::string& name) {
  site_.add = site_.base + "." + name;
  const std::string base = site_.base;
  // The users first: the chain itself, and the sum, go on reading the layer.
  for (Node& node : graph_.nodes)
    if (std::find(site_.branch.begin(), site_.branch.end(), node.name) == site_.branch.end())
      std::replace(node.inputs.begin(), node.inputs.end(), base, site_.add);
  for (Output& output : graph_.outputs)
    if (output.value == base) output.value = site_.add;
  Node add;
  add.name = site_.add;
  add.op = "add";
  add.inputs = {base, value_};
  graph_.nodes.insert(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(at_++), std::move(add));
  return site_;
}

std::string head_of(const Graph& graph) {
  if (graph.outputs.empty()) return "";
  static const std::set<std::string> kThrough = {"flatten", "reshape", "global_avg_pool", "adaptive_avg_pool2d", "mean", "dropout", "identity",
                                                 "softmax", "scale"};
  const Node* node = graph.producer(graph.outputs[0].value);
  while (node && kThrough.count(node->op) && node->inputs.size() == 1) node = graph.producer(node->inputs[0]);
  return node && (node->op == "linear" || node->op == "conv2d") ? node->name : "";
}

std::vector<std::string> adapter_targets(const Graph& graph, const AdapterOptions& options, const std::vector<std::string>& ops,
                                         const std::function<bool(const Node&)>& usual, const std::string& kind) {
  const std::string head = head_of(graph);
  std::vector<std::string> found;
  std::set<std::string> used;
  for (const Node& node : graph.nodes) {
    if (std::find(ops.begin(), ops.end(), node.op) == ops.end()) continue;
    bool wanted = options.targets.empty() && node.name != head && usual(node);
    for (const std::string& pattern : options.targets)
      if (fnmatch(pattern.c_str(), node.name.c_str(), 0) == 0) wanted = true, used.insert(pattern);
    if (!wanted) continue;
    if (adapters::owns_weights(graph, node))
      found.push_back(node.name);
    else if (!options.targets.empty())
      throw Error(Exit::kUsage, "adapter.targets", fmt::format("layer '{}' shares its weights with others", node.name),
                  "name layers with weights of their own");
  }
  for (const std::string& pattern : options.targets)
    if (!used.count(pattern))
      throw Error(Exit::kUsage, "adapter.targets", fmt::format("no layer that {} fits is named '{}'", kind, pattern),
                  fmt::format("ds-convert -o net.yaml shows the layers; {} is for {}", kind, fmt::format("{}", ops[0])));
  if (found.empty())
    throw Error(Exit::kUsage, "adapter.name", fmt::format("the net has no layer that {} is made for", kind),
                "another kind, or name layers with adapter.targets");
  if (options.last > 0 && static_cast<std::int64_t>(found.size()) > options.last) found.erase(found.begin(), found.end() - options.last);
  return found;
}

void insert_adapters(Graph& graph, const std::string& kind, InsertAdapters* insert, const core::Options& options) {
  if (graph.meta.contains("adapter"))
    throw Error(Exit::kUsage, "adapter", "the net has adapters already", "merge them first: ds-convert BASE --adapter FILE -o merged.h5");
  Json sites = Json::array();
  for (const AdapterSite& site : insert(graph, options))
    sites.push_back({{"base", site.base}, {"from", site.from_output ? "output" : "input"}, {"branch", site.branch}, {"add", site.add}});
  graph.meta["adapter"] = {{"kind", kind}, {"sites", sites}};
  verify(graph, "with adapters");
}

std::set<std::string> adapter_parameters(const Graph& graph, const AdapterOptions& options, bool new_head) {
  std::set<std::string> trained;
  const auto add = [&](const std::string& name) {
    const Node* node = graph.find_node(name);
    if (!node) return;
    for (const auto& [slot, target] : node->slots)
      if (graph.tensor(target.tensor).role == Role::kParameter) trained.insert(target.tensor);
  };
  for (const Json& site : graph.meta.at("adapter").at("sites"))
    for (const Json& name : site.at("branch")) add(name);
  const std::string head = head_of(graph);
  const Node* last = graph.find_node(head);
  if (last && adapters::owns_weights(graph, *last) && last->slots.at("weight").whole()) {
    const std::vector<std::int64_t>& shape = graph.tensor(last->slots.at("weight").tensor).shape;
    std::int64_t size = 1;
    for (const std::int64_t n : shape) size *= n;
    const bool small = size * 20 < cost(graph).parameters;
    if (options.head == "yes" || (options.head == "auto" && (new_head || small))) add(head);
  } else if (options.head == "yes") {
    throw Error(Exit::kUsage, "adapter.head", "the net has no last layer with weights of its own", "leave it out");
  }
  for (const Node& node : graph.nodes)
    if (options.norms && adapters::is_norm(node.op)) add(node.name);
  return trained;
}

AdapterBase adapter_base(const Json& graph) {
  const Json::json_pointer at("/meta/adapter/base");
  if (!graph.is_object() || !graph.contains(at) || !graph.at(at).is_object()) return {};
  const auto text = [&](const char* key) {
    const Json& base = graph.at(at);
    return base.contains(key) && base.at(key).is_string() ? base.at(key).get<std::string>() : std::string();
  };
  return {text("digest"), text("file")};
}

void refuse_adapter(const Json& graph, const std::string& path) {
  const AdapterBase base = adapter_base(graph);
  if (base.digest.empty()) return;
  throw Error(Exit::kInput, path, fmt::format("is an adapter without its base {} ({})", base.digest.substr(0, 12), base.file),
              "give the base as the model, and this with --adapter");
}

std::set<std::string> frozen_prefix(const Graph& graph, const std::set<std::string>& trained) {
  std::set<std::string> frozen, known;
  for (const Input& input : graph.inputs) known.insert(input.name);
  for (const Node& node : graph.nodes) {
    bool still =
        std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& value) { return known.count(adapters::node_of(value)) != 0; });
    for (const auto& [name, slot] : node.slots) still = still && !trained.count(slot.tensor);
    if (still) frozen.insert(node.name), known.insert(node.name);
  }
  return frozen;
}

TrainingCost training_cost(const Graph& graph, const std::set<std::string>& trained, const Bindings& bindings) {
  const std::set<std::string> frozen = frozen_prefix(graph, trained);
  TrainingCost cost;
  const auto nodes = node_costs(graph, bindings);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const std::int64_t macs = nodes[i].second.macs;
    cost.forward += macs;
    if (frozen.count(node.name)) {
      cost.frozen_forward += macs;
      continue;
    }
    std::int64_t values = 0;  // inputs that have a gradient
    for (const std::string& value : node.inputs) {
      const Node* producer = graph.producer(value);
      values += producer && !frozen.count(producer->name);
    }
    bool learns = false, weighs = false;
    for (const auto& [name, slot] : node.slots) weighs = true, learns = learns || trained.count(slot.tensor);
    // Of a layer with weights the gradient of its input; of attention those of the factors of both its products.
    if (values > 0) cost.backward_values += weighs ? macs : 2 * macs;
    if (learns) cost.backward_weights += macs;
  }
  return cost;
}

}  // namespace ds::graph
