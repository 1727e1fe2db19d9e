// The readable form. What it leaves out: attributes that are the schema's defaults, inputs of a node that follows the one before, slots
// `<node>.<slot>` and their tensors where the schema would make the same. A slot is a tensor's name, `name[begin:end]` for rows, or null
// for an optional one that is not there.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/core/error.h"
#include "base/core/yaml.h"
#include "base/graph/builder.h"
#include "base/graph/schema.h"
#include "base/graph/template.h"

namespace ds::graph {
namespace yaml_form {

std::string flow(const Json& json) {
  std::string text;
  if (json.is_array()) {
    for (const Json& item : json) text += (text.empty() ? "" : ", ") + flow(item);
    return "[" + text + "]";
  }
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) text += (text.empty() ? "" : ", ") + core::yaml_string(key) + ": " + flow(value);
    return "{" + text + "}";
  }
  return json.is_string() ? core::yaml_string(json.get_ref<const std::string&>()) : json.dump();
}

// One entry of a list, with its keys in the order of reading.
std::string entry(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string text;
  for (const auto& [key, value] : members) text += (text.empty() ? "" : ", ") + key + ": " + value;
  return "  - {" + text + "}\n";
}

std::string attributes(const Node& node) {
  const Json full = full_attributes(node);
  std::string text;
  for (const AttrSpec& spec : op(node.op).attrs) {
    const auto it = full.find(spec.name);
    if (it != full.end() && *it != spec.default_value) text += (text.empty() ? "" : ", ") + spec.name + ": " + flow(*it);
  }
  return text;
}

std::string slot_text(const Slot& slot) {
  if (slot.whole()) return core::yaml_string(slot.tensor);
  if (slot.axis == 0) return core::yaml_string(fmt::format("{}[{}:{}]", slot.tensor, slot.begin, slot.end));
  return flow({{"tensor", slot.tensor}, {"axis", slot.axis}, {"begin", slot.begin}, {"end", slot.end}});
}

// What the schema makes for a node of which no slot is stated; nothing where it needs one (a free tensor).
std::vector<SlotSpec> unasked(const Graph& graph, const NodeView& view) {
  Node bare = view.node();
  bare.slots.clear();
  try {
    return op(bare.op).slots(NodeView(graph, bare, view.inputs()));
  } catch (const Error&) {
    return {};
  }
}

// The slots that cannot be left out; notes in `made` the tensors that the schema makes again.
std::string slots(const Graph& graph, const NodeView& view, std::set<std::string>& seen, std::set<std::string>& made) {
  std::string text;
  const Node& node = view.node();
  const std::vector<SlotSpec> fresh = unasked(graph, view);
  for (const SlotSpec& spec : op(node.op).slots(view)) {
    const auto it = node.slots.find(spec.name);
    const auto own = std::find_if(fresh.begin(), fresh.end(), [&](const SlotSpec& other) { return other.name == spec.name; });
    if (it != node.slots.end() && it->second.whole() && it->second.tensor == node.name + "." + spec.name && own != fresh.end()) {
      const TensorSpec& tensor = graph.tensor(it->second.tensor);
      const bool same = tensor.dtype == own->dtype && tensor.shape == own->shape && tensor.role == own->role && tensor.init == own->init;
      if (seen.insert(tensor.name).second && same) made.insert(tensor.name);
      continue;
    }
    text += (text.empty() ? "" : ", ") + spec.name + ": " + (it == node.slots.end() ? "~" : slot_text(it->second));
    if (it != node.slots.end()) seen.insert(it->second.tensor);
  }
  return text;
}

std::string tensor_line(const TensorSpec& spec) {
  std::vector<std::pair<std::string, std::string>> members{{"name", core::yaml_string(spec.name)}, {"shape", flow(spec.shape)}};
  if (spec.dtype != DType::kF32) members.emplace_back("dtype", io::dtype_name(spec.dtype));
  if (spec.role != Role::kParameter) members.emplace_back("role", spec.role == Role::kBuffer ? "buffer" : "constant");
  if (!spec.init.is_null()) members.emplace_back("init", flow(spec.init));
  return entry(members);
}

// --- reading ----------------------------------------------------------------------------------------------------

// "in_proj_weight[0:64]" as the object that the JSON form has.
Json read_slot(const Json& json) {
  if (!json.is_string()) return json;
  const std::string& text = json.get_ref<const std::string&>();
  const std::size_t open = text.rfind('['), colon = text.rfind(':');
  if (open == std::string::npos || text.back() != ']' || colon == std::string::npos || colon < open) return json;
  std::int64_t begin = 0, end = 0;
  const auto number = [&](std::size_t from, std::size_t to, std::int64_t& value) {
    const auto [rest, error] = std::from_chars(text.data() + from, text.data() + to, value);
    return error == std::errc{} && rest == text.data() + to;
  };
  if (!number(open + 1, colon, begin) || !number(colon + 1, text.size() - 1, end)) return json;
  return {{"tensor", text.substr(0, open)}, {"axis", 0}, {"begin", begin}, {"end", end}};
}

// Fills in what may be left out of an entry, so that the strict reader of the JSON form can do the rest.
void complete(Json& document, const char* list, const Json& defaults) {
  if (!document.contains(list)) document[list] = Json::array();
  if (!document[list].is_array()) return;
  for (Json& entry : document[list]) {
    if (!entry.is_object()) continue;
    for (const auto& [key, value] : defaults.items()) {
      if (!entry.contains(key)) entry[key] = value;
    }
  }
}

// Per node: optional slots that are null. They leave the document.
std::vector<std::set<std::string>> complete_nodes(Json& document) {
  std::vector<std::set<std::string>> without;
  complete(document, "nodes", {{"attrs", Json::object()}, {"slots", Json::object()}, {"outputs", 1}});
  if (!document["nodes"].is_array()) return without;
  std::string before;
  if (const Json& inputs = document["inputs"]; inputs.is_array() && !inputs.empty() && inputs[0].is_object()) {
    if (inputs[0].contains("name") && inputs[0]["name"].is_string()) before = inputs[0]["name"].get<std::string>();
  }
  for (Json& node : document["nodes"]) {
    without.emplace_back();
    if (!node.is_object()) continue;
    const Op* schema = node.contains("op") && node["op"].is_string() ? find_op(node["op"].get<std::string>()) : nullptr;
    if (!node.contains("inputs")) node["inputs"] = schema && schema->min_inputs > 0 && !before.empty() ? Json::array({before}) : Json::array();
    if (node.contains("name") && node["name"].is_string()) before = node["name"].get<std::string>();
    if (!node["slots"].is_object()) continue;
    for (auto it = node["slots"].begin(); it != node["slots"].end();) {
      if (it->is_null()) {
        without.back().insert(it.key());
        it = node["slots"].erase(it);
      } else {
        *it = read_slot(*it);
        ++it;
      }
    }
  }
  return without;
}

std::vector<int> lines_of(const core::Value& root, const std::string& list) {
  std::vector<int> lines;
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    if (root.keys[i].text != list) continue;
    for (const core::Value& item : root.items[i].items) lines.push_back(item.line);
  }
  return lines;
}

Graph build(const Graph& parts, const std::vector<std::set<std::string>>& without, const std::vector<int>& lines, const std::string& where) {
  Builder builder;
  for (const Input& input : parts.inputs) builder.input(input.name, input.type.dtype, input.type.dims);
  for (const TensorSpec& spec : parts.tensors) builder.tensor(spec);
  for (std::size_t i = 0; i < parts.nodes.size(); ++i) {
    const Node& node = parts.nodes[i];
    try {
      builder.node(node.op, node.name, node.inputs, node.attrs, node.slots, without.at(i));
    } catch (const Error& e) {
      throw Error(Exit::kInput, fmt::format("{}:{}: {}", where, lines.at(i), e.where()), e.message(), e.hint());
    }
  }
  for (const Output& output : parts.outputs) builder.output(output.name, output.value);
  try {
    Graph graph = builder.finish(parts.meta);
    for (std::size_t i = 0; i < parts.nodes.size(); ++i) graph.nodes[i].placement = parts.nodes[i].placement;
    return graph;
  } catch (const Error& e) {
    throw Error(Exit::kInput, where + ": " + e.where(), e.message(), e.hint());
  }
}

}  // namespace yaml_form

std::string to_yaml(const Graph& graph) {
  const std::map<std::string, ValueType> types = infer_types(graph);
  std::set<std::string> seen, made;
  std::string nodes, before = graph.inputs.empty() ? "" : graph.inputs[0].name;
  for (const Node& node : graph.nodes) {
    std::vector<ValueType> inputs;
    for (const std::string& value : node.inputs) inputs.push_back(types.at(value));
    std::vector<std::pair<std::string, std::string>> members{{"name", core::yaml_string(node.name)}, {"op", node.op}};
    const std::vector<std::string> implied = op(node.op).min_inputs > 0 ? std::vector<std::string>{before} : std::vector<std::string>{};
    if (node.inputs != implied) members.emplace_back("inputs", yaml_form::flow(node.inputs));
    if (const std::string attrs = yaml_form::attributes(node); !attrs.empty()) members.emplace_back("attrs", "{" + attrs + "}");
    const std::string slots = yaml_form::slots(graph, NodeView(graph, node, std::move(inputs)), seen, made);
    if (!slots.empty()) members.emplace_back("slots", "{" + slots + "}");
    if (!node.placement.is_null()) members.emplace_back("placement", yaml_form::flow(node.placement));
    nodes += yaml_form::entry(members);
    before = node.name;
  }
  std::string text = "inputs:\n";
  for (const Input& input : graph.inputs) {
    Json dims = Json::array();
    for (const Dim& dim : input.type.dims) dims.push_back(dim.is_known() ? Json(dim.value()) : Json(dim.text()));
    std::vector<std::pair<std::string, std::string>> members{{"name", core::yaml_string(input.name)}, {"dims", yaml_form::flow(dims)}};
    if (input.type.dtype != DType::kF32) members.emplace_back("dtype", io::dtype_name(input.type.dtype));
    text += yaml_form::entry(members);
  }
  std::string tensors;
  for (const TensorSpec& spec : graph.tensors) {
    if (!made.count(spec.name)) tensors += yaml_form::tensor_line(spec);
  }
  if (!tensors.empty()) text += "tensors:\n" + tensors;
  text += "nodes:\n" + nodes + "outputs:\n";
  for (const Output& output : graph.outputs) {
    text += yaml_form::entry({{"name", core::yaml_string(output.name)}, {"value", core::yaml_string(output.value)}});
  }
  if (!graph.meta.empty()) text += "meta: " + yaml_form::flow(graph.meta) + "\n";
  return text;
}

Graph from_yaml(const std::string& text, const std::string& where) { return from_yaml(text, where, {}); }

Graph from_yaml(const std::string& text, const std::string& where, const Parameters& parameters) {
  std::vector<Error> errors;
  const core::Value written = core::parse_yaml(text, where, errors);
  if (!errors.empty()) throw Error(Exit::kInput, errors[0].where(), errors[0].message(), errors[0].hint());
  const core::Value root = expand(written, parameters, where);
  Json document;
  try {
    document = core::yaml_json(root, where);
  } catch (const Error& e) {
    throw Error(Exit::kInput, e.where(), e.message(), e.hint());
  }
  if (!document.is_object())
    throw Error(Exit::kInput, where, fmt::format("is {}, expected a mapping", document.type_name()), "keys are inputs, tensors, nodes, outputs");
  if (!document.contains("meta")) document["meta"] = Json::object();
  yaml_form::complete(document, "inputs", {{"dtype", "float32"}});
  yaml_form::complete(document, "tensors", {{"dtype", "float32"}, {"role", "parameter"}});
  const std::vector<std::set<std::string>> without = yaml_form::complete_nodes(document);
  return yaml_form::build(from_json(document, where), without, yaml_form::lines_of(root, "nodes"), where);
}

}  // namespace ds::graph
