#include "onnx/export.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/host.h"
#include "onnx/emitter.h"

namespace ds::onnx {

namespace {

constexpr std::pair<io::DType, int> kDtypes[] = {
    {io::DType::kF64, pb::TensorProto::DOUBLE}, {io::DType::kF32, pb::TensorProto::FLOAT},     {io::DType::kF16, pb::TensorProto::FLOAT16},
    {io::DType::kBF16, pb::TensorProto::BFLOAT16}, {io::DType::kI64, pb::TensorProto::INT64},  {io::DType::kI32, pb::TensorProto::INT32},
    {io::DType::kI16, pb::TensorProto::INT16},  {io::DType::kI8, pb::TensorProto::INT8},       {io::DType::kU8, pb::TensorProto::UINT8},
    {io::DType::kBool, pb::TensorProto::BOOL}};

void set_attribute(pb::NodeProto& node, const std::string& name, const Attribute& attribute) {
  pb::AttributeProto& to = *node.add_attribute();
  to.set_name(name);
  if (const auto* i = std::get_if<std::int64_t>(&attribute.value)) {
    to.set_type(pb::AttributeProto::INT);
    to.set_i(*i);
  } else if (const auto* f = std::get_if<float>(&attribute.value)) {
    to.set_type(pb::AttributeProto::FLOAT);
    to.set_f(*f);
  } else if (const auto* s = std::get_if<std::string>(&attribute.value)) {
    to.set_type(pb::AttributeProto::STRING);
    to.set_s(*s);
  } else if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&attribute.value)) {
    to.set_type(pb::AttributeProto::INTS);
    for (const std::int64_t v : *ints) to.add_ints(v);
  } else {
    to.set_type(pb::AttributeProto::STRINGS);
    for (const std::string& v : std::get<std::vector<std::string>>(attribute.value)) to.add_strings(v);
  }
}

void set_type(pb::ValueInfoProto& info, const std::string& name, const graph::ValueType& type) {
  info.set_name(name);
  pb::TypeProto::Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_dtype(type.dtype));
  for (const graph::Dim& dim : type.dims) {
    auto& to = *tensor.mutable_shape()->add_dim();
    if (dim.is_known()) to.set_dim_value(dim.value());
    else to.set_dim_param(dim.text());
  }
  tensor.mutable_shape();
}

}  // namespace

/// Names and nodes of one export.
class Exporter {
 public:
  Exporter(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors) : graph_(graph), tensors_(tensors), types_(infer_types(graph)) {}

  Model run(const std::map<std::string, std::string>& metadata) {
    model_.proto.set_ir_version(kIrVersion);
    model_.proto.set_producer_name("ds");
    model_.proto.set_producer_version(core::version());
    model_.proto.add_opset_import()->set_version(kOpset);
    proto().set_name(graph_.meta.contains("arch") && graph_.meta["arch"].is_string() ? graph_.meta["arch"].get<std::string>() : "graph");
    take_tensors();
    for (const graph::Output& output : graph_.outputs) wanted_.emplace(output.value, output.name);
    for (const graph::Input& input : graph_.inputs) {
      names_[input.name] = unique(input.name);
      set_type(*proto().add_input(), names_[input.name], input.type);
    }
    for (const graph::Node& node : graph_.nodes) emit(node);
    for (const graph::Output& output : graph_.outputs) finish(output);
    for (const auto& [key, text] : metadata) add_metadata(key, text);
    add_metadata(kStructureKey, structure_digest(model_.proto, model_.initializers));
    return std::move(model_);
  }

  pb::GraphProto& proto() { return *model_.proto.mutable_graph(); }
  const std::string& name_of(const std::string& value) const { return names_.at(value); }
  const io::Array& array(const std::string& tensor) const { return tensors_.at(tensor); }
  void rename(const std::string& value, const std::string& name) { names_[value] = name; }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !used_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  std::string constant(const io::Array& array) {
    std::string key = fmt::format("{}{}", io::dtype_name(array.dtype), io::shape_text(array.shape));
    key.append(reinterpret_cast<const char*>(array.data), array.bytes());
    const auto [at, fresh] = constants_.emplace(std::move(key), "");
    if (fresh) {
      at->second = unique(fmt::format("constant_{}", constants_.size() - 1));
      model_.initializers.push_back({at->second, array});
    }
    return at->second;
  }

  /// A slice or a cast of a tensor, once for all who read it.
  std::string& derived(const std::string& key) { return derived_[key]; }

 private:
  void take_tensors() {
    for (const graph::TensorSpec& spec : graph_.tensors) {
      const auto found = tensors_.find(spec.name);
      if (found == tensors_.end()) throw Error(Exit::kInput, fmt::format("tensor '{}'", spec.name), "is in the graph's table, but there are no values for it");
      if (onnx_dtype(spec.dtype) == 0)
        throw Error(Exit::kUsage, fmt::format("tensor '{}'", spec.name),
                    fmt::format("is {}, for which opset {} has no type", io::dtype_name(spec.dtype), kOpset));
      used_.insert(spec.name);
      model_.initializers.push_back({spec.name, found->second});
    }
  }

  void emit(const graph::Node& node) {
    std::vector<graph::ValueType> inputs;
    for (const std::string& input : node.inputs) inputs.push_back(types_.at(input));
    for (int i = 0; i < node.outputs; ++i) {
      const std::string value = node.output(i);
      const auto as_output = wanted_.find(value);
      names_[value] = as_output == wanted_.end() ? unique(value) : unique(as_output->second);
    }
    const graph::NodeView view(graph_, node, std::move(inputs));
    Emitter emitter(*this, view);
    auto* body = core::find_body("onnx", node.op);
    if (body == nullptr) emitter.fail("has no form in ONNX");
    reinterpret_cast<ExportOp*>(body)(emitter);
  }

  /// The graph's output: the value itself where it could be called so, else a copy.
  void finish(const graph::Output& output) {
    std::string name = names_.at(output.value);
    if (name != output.name || !written_.count(name)) {
      const bool is_free = name != output.name && (!used_.count(output.name) || free_.count(output.name));
      const std::string other = is_free ? output.name : unique(output.name);
      used_.insert(other);
      pb::NodeProto& node = *proto().add_node();
      node.set_op_type("Identity");
      node.set_name(other + "/Identity");
      node.add_input(name);
      node.add_output(other);
      name = other;
    }
    set_type(*proto().add_output(), name, types_.at(output.value));
  }

  void add_metadata(const std::string& key, const std::string& text) {
    auto& entry = *model_.proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(text);
  }

  friend class Emitter;
  const graph::Graph& graph_;
  const std::map<std::string, io::Array>& tensors_;
  std::map<std::string, graph::ValueType> types_;
  Model model_;
  std::map<std::string, std::string> names_, wanted_, constants_, derived_;
  std::set<std::string> used_, written_, free_, node_names_;
};

std::string Emitter::in(std::size_t i) const { return exporter_.name_of(view_.node().inputs.at(i)); }
std::string Emitter::out(int i) const { return exporter_.name_of(view_.node().output(i)); }
const io::Array& Emitter::array(const std::string& slot) const { return exporter_.array(view_.node().slots.at(slot).tensor); }

std::string Emitter::slot(const std::string& name) {
  const auto found = view_.node().slots.find(name);
  if (found == view_.node().slots.end()) return "";
  const graph::Slot& slot = found->second;
  std::string value = slot.tensor;
  if (!slot.whole()) {
    std::string& part = exporter_.derived(fmt::format("{}[{}:{}:{}]", slot.tensor, slot.axis, slot.begin, slot.end));
    if (part.empty())
      part = add("Slice", {slot.tensor, ints({slot.begin}), ints({slot.end}), ints({slot.axis})}, {},
                 exporter_.unique(fmt::format("{}/{}_{}", slot.tensor, slot.begin, slot.end)));
    value = part;
  }
  const io::DType dtype = view_.slot_dtype(name);
  if (!io::is_float(dtype) || dtype == io::DType::kF32) return value;
  std::string& cast = exporter_.derived(value + " as float");
  if (cast.empty()) cast = add("Cast", {value}, {{"to", int{pb::TensorProto::FLOAT}}}, exporter_.unique(value + "/float"));
  return cast;
}

std::string Emitter::add(const std::string& op, std::vector<std::string> inputs, const Attributes& attributes, const std::string& to) {
  const std::string output = to.empty() ? exporter_.unique(view_.node().name + "/" + op) : to;
  add_to(op, std::move(inputs), attributes, {output});
  return output;
}

void Emitter::add_to(const std::string& op, std::vector<std::string> inputs, const Attributes& attributes, const std::vector<std::string>& outputs) {
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  pb::NodeProto& node = *exporter_.proto().add_node();
  node.set_op_type(op);
  std::string name = outputs.front() == out() ? view_.node().name : outputs.front();
  for (int i = 1; !exporter_.node_names_.insert(name).second; ++i) name = fmt::format("{}_{}", outputs.front(), i);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) {
    node.add_output(output);
    exporter_.written_.insert(output);
  }
  for (const auto& [key, value] : attributes) set_attribute(node, key, value);
}

void Emitter::pass(const std::string& value, int i) {
  exporter_.free_.insert(out(i));  // nothing is called so now: an output may be
  exporter_.rename(view_.node().output(i), value);
}

std::string Emitter::constant(const io::Array& array) { return exporter_.constant(array); }

std::string Emitter::ints(std::vector<std::int64_t> values) {
  io::Array array = io::make_array(io::DType::kI64, {static_cast<std::int64_t>(values.size())});
  std::memcpy(array.data, values.data(), array.bytes());
  return constant(array);
}

std::string Emitter::integer(std::int64_t value) {
  io::Array array = io::make_array(io::DType::kI64, {});
  *array.as<std::int64_t>() = value;
  return constant(array);
}

std::string Emitter::number(double value) {
  io::Array array = io::make_array(io::DType::kF32, {});
  *array.as<float>() = static_cast<float>(value);
  return constant(array);
}

std::string Emitter::byte(std::int64_t value) {
  io::Array array = io::make_array(io::DType::kU8, {});
  *array.as<std::uint8_t>() = static_cast<std::uint8_t>(value);
  return constant(array);
}

std::string Emitter::size(const std::string& value, std::int64_t axis) {
  return add("Shape", {value}, {{"start", axis}, {"end", axis + 1}});
}

std::string Emitter::reshape(const std::string& x, const std::vector<graph::Dim>& from, const std::vector<graph::Dim>& to, const std::string& name) {
  std::vector<std::int64_t> shape;
  bool rest = false;  // a -1 is there
  bool plain = true;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i].is_known()) shape.push_back(to[i].value());
    else if (i < from.size() && from[i] == to[i]) shape.push_back(0);
    else if (!rest) shape.push_back(-1), rest = true;
    else shape.push_back(-2), plain = false;
  }
  if (plain) return add("Reshape", {x, ints(shape)}, {}, name);
  std::vector<std::string> sizes;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (shape[i] != -2) {
      sizes.push_back(ints({shape[i]}));
      continue;
    }
    std::size_t same = 0;
    while (same < from.size() && !(from[same] == to[i])) ++same;
    if (same == from.size()) fail(fmt::format("has an output axis of {} that is none of its input's", to[i].text()));
    sizes.push_back(size(x, static_cast<std::int64_t>(same)));
  }
  return add("Reshape", {x, add("Concat", sizes, {{"axis", 0}})}, {}, name);
}

void Emitter::fail(const std::string& what) const {
  throw Error(Exit::kUsage, view_.where(), fmt::format("{} (opset {})", what, kOpset));
}

int onnx_dtype(io::DType dtype) {
  for (const auto& [ours, number] : kDtypes)
    if (ours == dtype) return number;
  return 0;
}

std::string structure_digest(const pb::ModelProto& proto, const std::vector<Initializer>& initializers) {
  pb::GraphProto graph;
  for (const pb::NodeProto& node : proto.graph().node()) {
    pb::NodeProto& copy = *graph.add_node();
    copy = node;
    copy.clear_doc_string();
  }
  *graph.mutable_input() = proto.graph().input();
  *graph.mutable_output() = proto.graph().output();
  std::set<std::string> table;
  for (const Initializer& i : initializers) table.insert(fmt::format("{} {}{}", i.name, io::dtype_name(i.array.dtype), io::shape_text(i.array.shape)));
  std::string text = graph.SerializeAsString();
  for (const auto& opset : proto.opset_import()) text += fmt::format("\n{} {}", opset.domain(), opset.version());
  for (const std::string& line : table) text += "\n" + line;
  return core::sha256_hex(text);
}

Model export_model(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::map<std::string, std::string>& metadata) {
  return Exporter(graph, tensors).run(metadata);
}

}  // namespace ds::onnx
