#include "base/graph/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/graph/channels.h"

namespace ds::graph {
namespace schemas {

std::map<std::string, std::unique_ptr<Op>>& table() {
  static std::map<std::string, std::unique_ptr<Op>> ops;
  return ops;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& names) {
  const std::string near = core::nearest(word, names);
  return near.empty() ? "" : fmt::format("did you mean '{}'", near);
}

const AttrSpec* find_attr(const Op& op, const std::string& name) {
  for (const AttrSpec& spec : op.attrs) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

const char* type_name(AttrType type) {
  switch (type) {
    case AttrType::kInt:
      return "an integer";
    case AttrType::kFloat:
      return "a number";
    case AttrType::kBool:
      return "true or false";
    case AttrType::kString:
      return "a string";
    case AttrType::kInts:
      return "a list of integers";
    case AttrType::kFloats:
      return "a list of numbers";
  }
  return "";
}

bool fits_int64(const Json& value) {
  return value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX});
}

bool has_type(const Json& value, AttrType type) {
  const auto all = [&](AttrType element) {
    return value.is_array() && std::all_of(value.begin(), value.end(), [&](const Json& v) { return has_type(v, element); });
  };
  switch (type) {
    case AttrType::kInt:
      return fits_int64(value);
    case AttrType::kFloat:
      return value.is_number() && std::isfinite(value.get<double>());
    case AttrType::kBool:
      return value.is_boolean();
    case AttrType::kString:
      return value.is_string();
    case AttrType::kInts:
      return all(AttrType::kInt);
    case AttrType::kFloats:
      return all(AttrType::kFloat);
  }
  return false;
}

void check_range(const NodeView& view, const AttrSpec& spec, const Json& value) {
  if (value.is_array()) {
    for (const Json& element : value) check_range(view, spec, element);
  } else if (value.is_number()) {
    const double number = value.get<double>();
    if (number < spec.min || number > spec.max)
      view.fail(fmt::format("attribute '{}' is {}, expected a number from {} to {}", spec.name, value.dump(), spec.min, spec.max));
  } else if (value.is_string() && !spec.choices.empty()) {
    const std::string word = value.get<std::string>();
    if (std::find(spec.choices.begin(), spec.choices.end(), word) != spec.choices.end()) return;
    view.fail(fmt::format("attribute '{}' is '{}', expected one of {}", spec.name, word, fmt::join(spec.choices, ", ")),
              did_you_mean(word, spec.choices));
  }
}

Json with_type(const Json& value, AttrType type) {
  if (type == AttrType::kInt && fits_int64(value)) return value.get<std::int64_t>();
  if (type == AttrType::kFloat && value.is_number()) return value.get<double>();
  if ((type != AttrType::kInts && type != AttrType::kFloats) || !value.is_array()) return value;
  Json list = Json::array();
  for (const Json& element : value) list.push_back(with_type(element, type == AttrType::kInts ? AttrType::kInt : AttrType::kFloat));
  return list;
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace schemas

NodeView::NodeView(const Graph& graph, const Node& node, std::vector<ValueType> inputs)
    : graph_(graph), node_(node), inputs_(std::move(inputs)), op_(find_op(node.op)) {}

std::vector<std::int64_t> NodeView::slot_shape(const std::string& name) const {
  const auto it = node_.slots.find(name);
  if (it == node_.slots.end()) fail(fmt::format("slot '{}' is missing", name));
  const Slot& slot = it->second;
  const TensorSpec* spec = graph_.find_tensor(slot.tensor);
  if (!spec) fail(fmt::format("slot '{}' points to tensor '{}', which is not in the table", name, slot.tensor));
  std::vector<std::int64_t> shape = spec->shape;
  if (slot.whole()) return shape;
  if (slot.axis < 0 || slot.axis >= static_cast<int>(shape.size()) || slot.end <= slot.begin || slot.end > shape[slot.axis])
    fail(fmt::format("slot '{}' is [{}:{}] of axis {} of tensor '{}' of shape {}", name, slot.begin, slot.end, slot.axis, slot.tensor,
                     schemas::shape_text(spec->shape)));
  shape[slot.axis] = slot.end - slot.begin;
  return shape;
}

DType NodeView::slot_dtype(const std::string& name) const {
  slot_shape(name);
  return graph_.find_tensor(node_.slots.at(name).tensor)->dtype;
}

const Json& NodeView::attr(const std::string& name) const {
  const auto it = node_.attrs.find(name);
  if (it != node_.attrs.end()) return *it;
  const AttrSpec* spec = op_ ? schemas::find_attr(*op_, name) : nullptr;
  if (!spec) throw Error(Exit::kFailure, where(), fmt::format("the op's schema has no attribute '{}'", name));
  if (spec->default_value.is_null()) fail(fmt::format("attribute '{}' is missing", name));
  return spec->default_value;
}

std::int64_t NodeView::i(const std::string& name) const {
  const Json& value = attr(name);
  if (!schemas::has_type(value, AttrType::kInt)) fail(fmt::format("attribute '{}' is {}, expected an integer", name, value.dump()));
  return value.get<std::int64_t>();
}

double NodeView::f(const std::string& name) const {
  const Json& value = attr(name);
  if (!schemas::has_type(value, AttrType::kFloat)) fail(fmt::format("attribute '{}' is {}, expected a number", name, value.dump()));
  return value.get<double>();
}

bool NodeView::b(const std::string& name) const {
  const Json& value = attr(name);
  if (!value.is_boolean()) fail(fmt::format("attribute '{}' is {}, expected true or false", name, value.dump()));
  return value.get<bool>();
}

std::string NodeView::s(const std::string& name) const {
  const Json& value = attr(name);
  if (!value.is_string()) fail(fmt::format("attribute '{}' is {}, expected a string", name, value.dump()));
  return value.get<std::string>();
}

std::vector<std::int64_t> NodeView::ints(const std::string& name) const {
  const Json& value = attr(name);
  if (!schemas::has_type(value, AttrType::kInts)) fail(fmt::format("attribute '{}' is {}, expected a list of integers", name, value.dump()));
  return value.get<std::vector<std::int64_t>>();
}

std::vector<double> NodeView::floats(const std::string& name) const {
  const Json& value = attr(name);
  if (!schemas::has_type(value, AttrType::kFloats)) fail(fmt::format("attribute '{}' is {}, expected a list of numbers", name, value.dump()));
  return value.get<std::vector<double>>();
}

std::string NodeView::where() const { return fmt::format("node '{}' ({})", node_.name, node_.op); }

void NodeView::fail(const std::string& what, const std::string& hint) const { throw Error(Exit::kInput, where(), what, hint); }

Op::~Op() = default;

std::vector<SlotSpec> Op::slots(const NodeView&) const { return {}; }

Dim Op::macs(const NodeView&) const { return 0; }

void Op::channels(ChannelRule& rule) const { rule.no_rule(); }

void Op::resize(const NodeView&, const NodeView&, Json&) const {}

void check_attributes(const NodeView& view) {
  const Node& node = view.node();
  const Op& schema = op(node.op, fmt::format("node '{}'", node.name));
  const int inputs = static_cast<int>(view.inputs().size());
  if (inputs < schema.min_inputs || (schema.max_inputs >= 0 && inputs > schema.max_inputs)) {
    const std::string expected = schema.max_inputs < 0                    ? fmt::format("at least {}", schema.min_inputs)
                                 : schema.min_inputs == schema.max_inputs ? fmt::format("{}", schema.min_inputs)
                                                                          : fmt::format("{} to {}", schema.min_inputs, schema.max_inputs);
    view.fail(fmt::format("has {} inputs, expected {}", inputs, expected));
  }
  if (!node.attrs.is_object()) view.fail("attributes are not a mapping");
  for (const auto& [name, value] : node.attrs.items()) {
    const AttrSpec* spec = schemas::find_attr(schema, name);
    if (!spec) {
      std::vector<std::string> names;
      for (const AttrSpec& attr : schema.attrs) names.push_back(attr.name);
      view.fail(fmt::format("unknown attribute '{}'", name), schemas::did_you_mean(name, names));
    }
    if (!schemas::has_type(value, spec->type))
      view.fail(fmt::format("attribute '{}' is {}, expected {}", name, value.dump(), schemas::type_name(spec->type)));
    schemas::check_range(view, *spec, value);
  }
  for (const AttrSpec& spec : schema.attrs) view.attr(spec.name);
}

void check_slots(const NodeView& view) {
  const Node& node = view.node();
  const std::vector<SlotSpec> specs = op(node.op).slots(view);
  std::vector<std::string> names;
  for (const SlotSpec& spec : specs) names.push_back(spec.name);
  for (const auto& [name, slot] : node.slots) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      view.fail(fmt::format("unknown slot '{}'", name), schemas::did_you_mean(name, names));
  }
  for (const SlotSpec& spec : specs) {
    if (!view.has_slot(spec.name)) {
      if (!spec.optional) view.fail(fmt::format("slot '{}' is missing", spec.name));
      continue;
    }
    const std::vector<std::int64_t> shape = view.slot_shape(spec.name);
    const DType dtype = view.slot_dtype(spec.name);
    const std::string& tensor = node.slots.at(spec.name).tensor;
    if (!(io::is_float(spec.dtype) ? io::is_float(dtype) : dtype == spec.dtype))
      view.fail(fmt::format("slot '{}': tensor '{}' is {}, expected {}", spec.name, tensor, io::dtype_name(dtype), io::dtype_name(spec.dtype)));
    if (!spec.shape.empty() && shape != spec.shape)
      view.fail(fmt::format("slot '{}': tensor '{}' has shape {}, expected {}", spec.name, tensor, schemas::shape_text(shape),
                            schemas::shape_text(spec.shape)));
  }
}

std::vector<ValueType> infer_node(const NodeView& view) {
  try {
    check_attributes(view);
    check_slots(view);
    std::vector<ValueType> types = op(view.node().op).infer(view);
    for (const ValueType& type : types) {
      for (const Dim& dim : type.dims) {
        if (dim.is_known() && dim.value() <= 0) view.fail(fmt::format("its output would be {}: a size below 1", type_text(type)));
      }
    }
    return types;
  } catch (const Error& e) {
    if (!e.where().empty()) throw;
    throw Error(Exit::kInput, view.where(), e.message(), e.hint());  // from a Dim, which does not know its node
  }
}

Json full_attributes(const Node& node) {
  Json attrs = node.attrs.is_object() ? node.attrs : Json::object();
  const Op* schema = find_op(node.op);
  if (!schema) return attrs;
  for (const AttrSpec& spec : schema->attrs) {
    if (!attrs.contains(spec.name) && !spec.default_value.is_null()) attrs[spec.name] = spec.default_value;
    if (attrs.contains(spec.name)) attrs[spec.name] = schemas::with_type(attrs[spec.name], spec.type);
  }
  return attrs;
}

const Op* find_op(const std::string& name) {
  const auto it = schemas::table().find(name);
  return it == schemas::table().end() ? nullptr : it->second.get();
}

const Op& op(const std::string& name, const std::string& where) {
  if (const Op* found = find_op(name)) return *found;
  std::vector<std::string> names;
  for (const Op* known : ops()) names.push_back(known->name);
  throw Error(Exit::kInput, where, fmt::format("unknown op '{}'", name), schemas::did_you_mean(name, names));
}

std::vector<const Op*> ops() {
  std::vector<const Op*> result;
  for (const auto& [name, entry] : schemas::table()) result.push_back(entry.get());
  return result;
}

void add_op(std::unique_ptr<Op> op) {
  const std::string name = op->name;
  core::add_card({"op", name, op->summary, ""});  // for --list op: who writes a graph as YAML looks there
  if (!schemas::table().emplace(name, std::move(op)).second) throw Error(Exit::kFailure, "", fmt::format("op '{}' is registered twice", name));
}

}  // namespace ds::graph
