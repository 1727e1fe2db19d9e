#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace json_form {

// Reads the members of one object: each must be there unless asked as optional, and none may be left over.
class Object {
 public:
  Object(const Json& json, std::string where, std::vector<std::string> keys) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) fail(fmt::format("is {}, expected an object", json.type_name()));
    for (const auto& [key, value] : json.items()) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      const std::string near = core::nearest(key, keys);
      fail(fmt::format("unknown key '{}'", key), near.empty() ? "" : fmt::format("did you mean '{}'", near));
    }
  }

  [[noreturn]] void fail(const std::string& what, const std::string& hint = "") const { throw Error(Exit::kInput, where_, what, hint); }
  bool has(const char* key) const { return json_.contains(key); }

  const Json& at(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) fail(fmt::format("key '{}' is missing", key));
    return *it;
  }

  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(fmt::format("'{}' is {}, expected a string", key, value.type_name()));
    return value.get<std::string>();
  }

  std::int64_t integer(const char* key) const { return integer(key, at(key)); }

  std::int64_t integer(const char* key, const Json& value) const {
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}))
      fail(fmt::format("'{}' has {}, expected an integer", key, value.dump().substr(0, 64)));
    return value.get<std::int64_t>();
  }

  const Json& list(const char* key, std::size_t most) const {
    const Json& value = at(key);
    if (!value.is_array()) fail(fmt::format("'{}' is {}, expected a list", key, value.type_name()));
    if (value.size() > most) fail(fmt::format("'{}' has {} entries, at most {} are allowed", key, value.size(), most));
    return value;
  }

  const Json& mapping(const char* key) const {
    const Json& value = at(key);
    if (!value.is_object()) fail(fmt::format("'{}' is {}, expected an object", key, value.type_name()));
    return value;
  }

  DType dtype(const char* key) const { return io::parse_dtype(text(key), where_); }

 private:
  const Json& json_;
  std::string where_;
};

constexpr std::size_t kMaxRank = 8, kMaxEntries = 200'000, kMaxInputs = 4096;

const char* role_name(Role role) {
  switch (role) {
    case Role::kParameter:
      return "parameter";
    case Role::kBuffer:
      return "buffer";
    case Role::kConstant:
      return "constant";
  }
  return "";
}

Json slot_json(const Slot& slot) {
  if (slot.whole()) return slot.tensor;
  return {{"tensor", slot.tensor}, {"axis", slot.axis}, {"begin", slot.begin}, {"end", slot.end}};
}

Json node_json(const Node& node) {
  Json slots = Json::object();
  for (const auto& [name, slot] : node.slots) slots[name] = slot_json(slot);
  Json json = {{"name", node.name},     {"op", node.op},           {"attrs", full_attributes(node)},
               {"inputs", node.inputs}, {"outputs", node.outputs}, {"slots", slots}};
  if (!node.placement.is_null()) json["placement"] = node.placement;
  return json;
}

Json input_json(const Input& input) {
  Json dims = Json::array();
  for (const Dim& dim : input.type.dims) {
    if (dim.is_known())
      dims.push_back(dim.value());
    else
      dims.push_back(dim.text());
  }
  return {{"name", input.name}, {"dtype", io::dtype_name(input.type.dtype)}, {"dims", dims}};
}

Input read_input(const Json& json, const std::string& where) {
  const Object object(json, where, {"name", "dtype", "dims"});
  Input input{object.text("name"), {object.dtype("dtype"), {}}};
  for (const Json& dim : object.list("dims", kMaxRank)) {
    try {
      input.type.dims.push_back(dim.is_string() ? Dim::parse(dim.get<std::string>()) : Dim(object.integer("dims", dim)));
    } catch (const Error& e) {
      throw Error(Exit::kInput, where, e.message(), e.hint());
    }
  }
  return input;
}

TensorSpec read_tensor(const Json& json, const std::string& where) {
  const Object object(json, where, {"name", "dtype", "shape", "role", "init"});
  TensorSpec spec;
  spec.name = object.text("name");
  spec.dtype = object.dtype("dtype");
  for (const Json& size : object.list("shape", kMaxRank)) spec.shape.push_back(object.integer("shape", size));
  const std::string role = object.text("role");
  if (role == "parameter")
    spec.role = Role::kParameter;
  else if (role == "buffer")
    spec.role = Role::kBuffer;
  else if (role == "constant")
    spec.role = Role::kConstant;
  else
    object.fail(fmt::format("role '{}', expected parameter, buffer or constant", role));
  if (object.has("init")) spec.init = object.mapping("init");
  return spec;
}

Slot read_slot(const Json& json, const std::string& where) {
  if (json.is_string()) return Slot{json.get<std::string>()};
  const Object object(json, where, {"tensor", "axis", "begin", "end"});
  Slot slot{object.text("tensor"), 0, object.integer("begin"), object.integer("end")};
  const std::int64_t axis = object.integer("axis");
  if (axis < 0 || axis >= static_cast<std::int64_t>(kMaxRank)) object.fail(fmt::format("axis {}, expected 0 to {}", axis, kMaxRank - 1));
  slot.axis = static_cast<int>(axis);
  if (slot.begin < 0 || slot.end <= slot.begin) object.fail(fmt::format("rows [{}:{}], expected 0 <= begin < end", slot.begin, slot.end));
  return slot;
}

Node read_node(const Json& json, const std::string& where) {
  const Object object(json, where, {"name", "op", "attrs", "inputs", "outputs", "slots", "placement"});
  Node node;
  node.name = object.text("name");
  node.op = object.text("op");
  node.attrs = object.mapping("attrs");
  for (const Json& value : object.list("inputs", kMaxInputs)) {
    if (!value.is_string()) object.fail(fmt::format("an input is {}, expected the name of a value", value.type_name()));
    node.inputs.push_back(value.get<std::string>());
  }
  const std::int64_t outputs = object.integer("outputs");
  if (outputs < 1 || outputs > static_cast<std::int64_t>(kMaxInputs)) object.fail(fmt::format("{} outputs, expected 1 to {}", outputs, kMaxInputs));
  node.outputs = static_cast<int>(outputs);
  for (const auto& [name, slot] : object.mapping("slots").items()) node.slots[name] = read_slot(slot, where + " slot '" + name + "'");
  if (object.has("placement")) node.placement = object.mapping("placement");
  return node;
}

// "net.h5: nodes[3] 'conv1'": counted from 0, with the name where there is one.
std::string entry_where(const std::string& where, const char* list, std::size_t i, const Json& json) {
  std::string text = fmt::format("{}{}{}[{}]", where, where.empty() ? "" : ": ", list, i);
  if (json.is_object() && json.contains("name") && json["name"].is_string()) text += " '" + json["name"].get<std::string>().substr(0, 64) + "'";
  return text;
}

}  // namespace json_form

Json to_json(const Graph& graph) {
  Json inputs = Json::array(), outputs = Json::array(), tensors = Json::array(), nodes = Json::array();
  for (const Input& input : graph.inputs) inputs.push_back(json_form::input_json(input));
  for (const Output& output : graph.outputs) outputs.push_back({{"name", output.name}, {"value", output.value}});
  for (const TensorSpec& spec : graph.tensors) {
    Json json = {{"name", spec.name}, {"dtype", io::dtype_name(spec.dtype)}, {"shape", spec.shape}, {"role", json_form::role_name(spec.role)}};
    if (!spec.init.is_null()) json["init"] = spec.init;
    tensors.push_back(std::move(json));
  }
  for (const Node& node : graph.nodes) nodes.push_back(json_form::node_json(node));
  return {{"inputs", inputs}, {"outputs", outputs}, {"tensors", tensors}, {"nodes", nodes}, {"meta", graph.meta}};
}

Graph from_json(const Json& json, const std::string& where) {
  using json_form::entry_where;
  const json_form::Object object(json, where, {"inputs", "outputs", "tensors", "nodes", "meta"});
  Graph graph;
  const auto each = [&](const char* key, std::size_t most, const auto& read) {
    const Json& list = object.list(key, most);
    for (std::size_t i = 0; i < list.size(); ++i) read(list[i], entry_where(where, key, i, list[i]));
  };
  each("inputs", json_form::kMaxInputs, [&](const Json& entry, const std::string& at) { graph.inputs.push_back(json_form::read_input(entry, at)); });
  each("outputs", json_form::kMaxInputs, [&](const Json& entry, const std::string& at) {
    const json_form::Object output(entry, at, {"name", "value"});
    graph.outputs.push_back(Output{output.text("name"), output.text("value")});
  });
  each("tensors", json_form::kMaxEntries,
       [&](const Json& entry, const std::string& at) { graph.tensors.push_back(json_form::read_tensor(entry, at)); });
  each("nodes", json_form::kMaxEntries, [&](const Json& entry, const std::string& at) { graph.nodes.push_back(json_form::read_node(entry, at)); });
  graph.meta = object.mapping("meta");
  return graph;
}

}  // namespace ds::graph
