#include "onnx/import/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/core/error.h"
#include "base/graph/passes.h"
#include "base/io/tensor_file.h"
#include "onnx/export.h"
#include "onnx/read.h"

namespace ds::onnx {

namespace {

constexpr int kMostNodes = 20'000;

/// Letters, digits and _ . - / of a name, others as _; without what stands for the root.
std::string clean(const std::string& name) {
  std::string out;
  for (const char c : name.substr(0, 240)) out += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '/' ? c : '_';
  while (!out.empty() && (out.front() == '/' || out.front() == '.')) out.erase(0, 1);
  return out;
}

io::DType dtype_of(int number, const std::string& where) {
  for (int i = 0; i <= static_cast<int>(io::DType::kU4); ++i)
    if (const auto dtype = static_cast<io::DType>(i); onnx_dtype(dtype) != 0 && onnx_dtype(dtype) == number) return dtype;
  throw Error(Exit::kInput, where, fmt::format("has element type {}, which has no form here", number));
}

/// A dim_param as a symbol: what is no name of one becomes one.
graph::Dim symbol(const std::string& text, std::size_t input, std::size_t axis) {
  try {
    if (!text.empty() && text.size() <= 64) return graph::Dim::parse(text);
  } catch (const Error&) {  // "batch size" and the like
  }
  return graph::Dim::symbol(axis == 0 ? "N" : fmt::format("D{}_{}", input, axis));
}

}  // namespace

class Importer {
 public:
  Importer(const pb::ModelProto& proto, std::map<std::string, io::Array> initializers, std::string where)
      : graph_(proto.graph()), where_(std::move(where)) {
    for (auto& [name, array] : initializers) {
      Known& known = known_[name];
      known.kind = Known::kConstant;
      known.array = std::move(array);
      known.name = name;
    }
  }

  Imported run() {
    index();
    const std::vector<const pb::NodeProto*> nodes = in_order();
    check_ops(nodes);
    take_inputs();
    for (const pb::NodeProto* node : nodes) {
      if (swallowed_.count(node) || spoilt(*node)) continue;
      Reader reader(*this, *node);
      try {
        reinterpret_cast<ImportOp*>(core::require_body("onnx-import", node->op_type()))(reader);
      } catch (const Error& e) {
        if (e.code() != Exit::kInput && e.code() != Exit::kUsage) throw;
        note(*node, e);
      }
    }
    throw_errors(errors_);
    for (const auto& output : graph_.output()) take_output(output.name());
    Imported made{builder_.finish({{"arch", "onnx"}}), {}};
    graph::remove_dead(made.graph);
    graph::verify(made.graph, where_);
    for (const graph::TensorSpec& spec : made.graph.tensors) made.tensors[spec.name] = tensors_.at(spec.name);
    return made;
  }

 private:
  friend class Reader;

  std::string at(const pb::NodeProto& node) const {
    return fmt::format("{}: node '{}' ({})", where_, (node.name().empty() && node.output_size() ? node.output(0) : node.name()).substr(0, 128),
                       node.op_type().substr(0, 64));
  }

  /// Whether a node reads what could not be made: that has been told, and what reads this one is spoilt too.
  bool spoilt(const pb::NodeProto& node) {
    if (std::none_of(node.input().begin(), node.input().end(), [&](const std::string& input) { return spoilt_.count(input) != 0; })) return false;
    for (const std::string& output : node.output()) spoilt_.insert(output);
    return true;
  }

  /// Ten errors at most.
  void note(const pb::NodeProto& node, const Error& e) {
    for (const std::string& output : node.output()) spoilt_.insert(output);
    if (errors_.size() >= 10) return;
    errors_.emplace_back(Exit::kInput, e.where().starts_with(where_) ? e.where() : at(node), e.message(), e.hint());
  }

  void index() {
    if (graph_.node_size() > kMostNodes) throw Error(Exit::kInput, where_, fmt::format("{} nodes, at most {} are read", graph_.node_size(), kMostNodes));
    for (const pb::NodeProto& node : graph_.node()) {
      for (const std::string& output : node.output())
        if (!output.empty() && !makers_.emplace(output, &node).second)
          throw Error(Exit::kInput, at(node), fmt::format("makes '{}', which is there already", output));
      for (const std::string& input : node.input()) users_[input].push_back(&node);
    }
    for (const auto& input : graph_.input())
      if (makers_.count(input.name())) throw Error(Exit::kInput, where_, fmt::format("'{}' is an input, and a node makes it", input.name()));
    for (const auto& [name, known] : known_)
      if (makers_.count(name)) throw Error(Exit::kInput, where_, fmt::format("'{}' is a tensor, and a node makes it", name));
    for (const auto& output : graph_.output()) outputs_.insert(output.name());
  }

  /// Nodes that outputs need, each behind those that it reads (Kahn 1962): however the file orders them.
  std::vector<const pb::NodeProto*> in_order() {
    std::set<const pb::NodeProto*> needed;
    std::vector<const pb::NodeProto*> waiting;
    const auto need = [&](const std::string& value) {
      const auto made = makers_.find(value);
      if (made != makers_.end() && needed.insert(made->second).second) waiting.push_back(made->second);
    };
    for (const std::string& output : outputs_) need(output);
    while (!waiting.empty()) {
      const pb::NodeProto* node = waiting.back();
      waiting.pop_back();
      for (const std::string& input : node->input()) need(input);
    }
    std::map<const pb::NodeProto*, int> waits;
    std::vector<const pb::NodeProto*> order;
    for (const pb::NodeProto& node : graph_.node()) {
      if (!needed.count(&node)) continue;
      for (const std::string& input : node.input()) waits[&node] += makers_.count(input) != 0;
      if (waits[&node] == 0) order.push_back(&node);
    }
    for (std::size_t i = 0; i < order.size(); ++i)
      for (const std::string& output : order[i]->output())
        if (const auto users = users_.find(output); users != users_.end())
          for (const pb::NodeProto* user : users->second)
            if (needed.count(user) && --waits[user] == 0) order.push_back(user);
    if (order.size() == needed.size()) return order;
    for (const pb::NodeProto* node : needed)
      if (waits[node] > 0) throw Error(Exit::kInput, at(*node), "is part of a cycle: it needs what it makes");
    throw Error(Exit::kInput, where_, "its nodes form a cycle");
  }

  /// Every op without a form, with the nodes that are of it.
  void check_ops(const std::vector<const pb::NodeProto*>& nodes) const {
    std::map<std::string, std::vector<std::string>> unknown;
    for (const pb::NodeProto* node : nodes) {
      const bool own_domain = node->domain().empty() || node->domain() == "ai.onnx";
      if (own_domain && core::find_body("onnx-import", node->op_type()) != nullptr) continue;
      const std::string op = (own_domain ? "" : node->domain().substr(0, 64) + ".") + node->op_type().substr(0, 64);
      unknown[op].push_back("'" + (node->name().empty() && node->output_size() ? node->output(0) : node->name()).substr(0, 64) + "'");
    }
    if (unknown.empty()) return;
    std::string text;
    for (const auto& [op, names] : unknown) {
      const std::size_t shown = std::min<std::size_t>(names.size(), 5);
      text += fmt::format("{}{} ({}", text.empty() ? "" : ", ", op, fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
      text += shown < names.size() ? fmt::format(" and {} more)", names.size() - shown) : ")";
    }
    throw Error(Exit::kInput, where_, fmt::format("{} op{} that {} no form here: {}", unknown.size(), unknown.size() == 1 ? "" : "s",
                                                  unknown.size() == 1 ? "has" : "have", text));
  }

  void take_inputs() {
    std::size_t count = 0;
    for (const auto& input : graph_.input()) {
      const std::size_t number = count++;
      if (known_.count(input.name())) continue;  // an initializer that old exporters list here too
      const std::string where = fmt::format("{}: input '{}'", where_, input.name().substr(0, 64));
      if (!input.type().has_tensor_type()) throw Error(Exit::kInput, where, "is no tensor");
      const auto& type = input.type().tensor_type();
      if (!type.has_shape() || type.shape().dim_size() > 8) throw Error(Exit::kInput, where, "has no shape of at most 8 axes");
      std::vector<graph::Dim> dims;
      for (const auto& dim : type.shape().dim()) {
        if (dim.has_dim_value() && dim.dim_value() < 1) throw Error(Exit::kInput, where, fmt::format("has an axis of {}", dim.dim_value()));
        dims.push_back(dim.has_dim_value() ? graph::Dim(dim.dim_value()) : symbol(dim.dim_param(), number, dims.size()));
      }
      const std::string name = unique(clean(input.name()).empty() ? "input" : clean(input.name()));
      Known& known = known_[input.name()];
      known.kind = Known::kValue;
      known.value = builder_.input(name, dtype_of(type.elem_type(), where), dims);
    }
  }

  void take_output(const std::string& name) {
    const auto found = known_.find(name);
    if (found == known_.end() || found->second.kind != Known::kValue)
      throw Error(Exit::kInput, where_, fmt::format("output '{}' is no value of the net", name.substr(0, 64)));
    builder_.output(clean(name).empty() ? "output" : clean(name), found->second.value);
  }

  std::string unique(const std::string& wanted) {
    const std::string base = wanted.empty() ? "node" : wanted;
    std::string name = base;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
    return name;
  }

  const pb::GraphProto& graph_;
  std::string where_;
  graph::Builder builder_;
  std::map<std::string, Known> known_;
  std::map<std::string, const pb::NodeProto*> makers_;
  std::map<std::string, std::vector<const pb::NodeProto*>> users_;
  std::set<std::string> outputs_, names_, spoilt_;
  std::set<const pb::NodeProto*> swallowed_;
  std::map<std::string, io::Array> tensors_;
  std::map<std::pair<const void*, std::string>, std::string> tensor_names_;  ///< by bytes and name
  std::map<std::string, std::string> constant_values_;                      ///< tensors that are values
  std::map<std::string, std::string> key_masks_;                            ///< by the mask of keys
  std::vector<Error> errors_;
};

const Known& Reader::known(const std::string& value) const {
  static const Known nothing;
  const auto found = importer_.known_.find(value);
  return found == importer_.known_.end() ? nothing : found->second;
}

const Known& Reader::in(int i) const {
  if (!has(i)) fail(fmt::format("has no input {}", i));
  if (!importer_.known_.count(node_.input(i)) && !importer_.makers_.count(node_.input(i)))
    fail(fmt::format("reads '{}', which no input, tensor or node is", node_.input(i).substr(0, 64)));
  return known(node_.input(i));
}

std::string Reader::value(int i) {
  const Known& known = in(i);
  if (known.kind == Known::kValue) return known.value;
  if (known.kind == Known::kConstant) {
    std::string& value = importer_.constant_values_[node_.input(i)];
    if (value.empty()) {
      const graph::Slot slot = tensor(i, graph::Role::kConstant);
      value = importer_.builder_.node("tensor", importer_.unique(slot.tensor), {}, graph::Json::object(), {{"value", slot}});
    }
    return value;
  }
  if (known.kind == Known::kSizes) fail(fmt::format("computes with the sizes '{}' as with values", node_.input(i).substr(0, 64)));
  const auto made = importer_.makers_.find(node_.input(i));
  throw Error(Exit::kInput, made == importer_.makers_.end() ? importer_.at(node_) : importer_.at(*made->second),
              fmt::format("has no form here where its result is read by '{}' ({})", node_.name().substr(0, 64), node_.op_type().substr(0, 64)));
}

const graph::ValueType& Reader::type(int i) { return importer_.builder_.type(value(i)); }

std::optional<std::vector<graph::Dim>> Reader::sizes(int i) const {
  const Known& known = in(i);
  if (known.kind == Known::kSizes) return known.sizes;
  if (known.kind != Known::kConstant || io::is_float(known.array.dtype)) return std::nullopt;
  if (known.array.shape.size() > 1 || known.array.numel() > 65536) return std::nullopt;
  std::vector<graph::Dim> dims;
  for (std::int64_t k = 0; k < known.array.numel(); ++k) {
    std::int64_t size = 0;  // not by way of a double, which the largest integer is no value of
    if (known.array.dtype == io::DType::kI64) std::memcpy(&size, known.array.data + k * 8, 8);
    else size = static_cast<std::int64_t>(io::element(known.array, k));
    dims.emplace_back(size);
  }
  return dims;
}

std::vector<std::int64_t> Reader::integers(int i) const {
  const auto dims = sizes(i);
  if (!dims) fail(fmt::format("'{}' is not known before the net runs", node_.input(i).substr(0, 64)));
  std::vector<std::int64_t> values;
  for (const graph::Dim& dim : *dims) {
    if (!dim.is_known()) fail(fmt::format("'{}' has a size that is not known before the net runs ({})", node_.input(i).substr(0, 64), dim.text()));
    values.push_back(dim.value());
  }
  return values;
}

double Reader::number(int i) const {
  const Known& known = in(i);
  if (known.kind != Known::kConstant || known.array.numel() != 1)
    fail(fmt::format("'{}' is no single number that the file holds", node_.input(i).substr(0, 64)));
  return io::element(known.array, 0);
}

const pb::AttributeProto* Reader::attribute(const char* name) const {
  for (const auto& attribute : node_.attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

std::int64_t Reader::i(const char* name, std::int64_t otherwise) const {
  const auto* a = attribute(name);
  return a ? a->i() : otherwise;
}
double Reader::f(const char* name, double otherwise) const {
  const auto* a = attribute(name);
  // The shortest decimal that is this float32: 1e-5, not 9.99999974737875e-06.
  return a ? std::stod(fmt::format("{}", a->f())) : otherwise;
}
std::string Reader::s(const char* name, const char* otherwise) const {
  const auto* a = attribute(name);
  return a ? a->s() : otherwise;
}
std::vector<std::int64_t> Reader::ints(const char* name, std::vector<std::int64_t> otherwise) const {
  const auto* a = attribute(name);
  if (!a) return otherwise;
  if (a->ints_size() > 65536) fail(fmt::format("attribute '{}' has {} numbers", name, a->ints_size()));
  return {a->ints().begin(), a->ints().end()};
}

void Reader::put(Known known, int output) {
  if (output < node_.output_size() && !node_.output(output).empty()) importer_.known_[node_.output(output)] = std::move(known);
}

void Reader::put_value(const std::string& value, int output) {
  Known known;
  known.kind = Known::kValue;
  known.value = value;
  put(std::move(known), output);
}

std::string Reader::add(const std::string& op, const std::vector<std::string>& inputs, graph::Json attrs, std::map<std::string, graph::Slot> slots,
                        const std::set<std::string>& without, const std::string& wanted_name) {
  std::string wanted = wanted_name;
  if (wanted.empty()) {
    wanted = clean(node_.name());
    if (wanted.size() > node_.op_type().size() && wanted.ends_with("/" + node_.op_type())) wanted.resize(wanted.size() - node_.op_type().size() - 1);
  }
  if (wanted.empty() && node_.output_size()) wanted = clean(node_.output(0));
  std::set<std::string> left_out = without;
  for (const auto& [slot, tensor] : slots) left_out.erase(slot);
  return importer_.builder_.node(op, importer_.unique(wanted), inputs, std::move(attrs), std::move(slots), left_out);
}

void Reader::set(const std::string& op, const std::vector<std::string>& inputs, graph::Json attrs, std::map<std::string, graph::Slot> slots,
                 const std::set<std::string>& without, const std::string& wanted_name) {
  put_value(add(op, inputs, std::move(attrs), std::move(slots), without, wanted_name));
}

graph::Slot Reader::tensor(int i, graph::Role role) {
  const Known& known = in(i);
  if (known.kind != Known::kConstant) fail(fmt::format("'{}' is no tensor that the file holds", node_.input(i).substr(0, 64)));
  return tensor(known.array, known.name.empty() ? node_.input(i) : known.name, role);
}

graph::Slot Reader::tensor(const io::Array& array, const std::string& name, graph::Role role) {
  for (const std::int64_t size : array.shape)
    if (size < 1) fail(fmt::format("reads the tensor '{}', which is empty", name.substr(0, 64)));
  if (const std::int64_t bad = io::first_nonfinite(array); bad >= 0) fail(fmt::format("tensor '{}': value at index {} is not finite", name.substr(0, 64), bad));
  std::string& ours = importer_.tensor_names_[{array.data, name + io::shape_text(array.shape)}];
  if (ours.empty()) {
    const std::string base = clean(name).empty() ? "tensor" : clean(name);
    ours = base;
    for (int k = 1; importer_.tensors_.count(ours); ++k) ours = fmt::format("{}_{}", base, k);
    importer_.tensors_[ours] = array;
    importer_.builder_.tensor({ours, array.dtype, array.shape, io::is_float(array.dtype) ? role : graph::Role::kBuffer, {}});
  }
  return {ours};
}

std::string Reader::name_by_weight(int i) const {
  const std::string name = has(i) ? clean(in(i).name) : "";
  const std::string ending = ".weight";
  return name.size() > ending.size() && name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : "";
}

const pb::NodeProto* Reader::made_by(const std::string& value, const char* op) const {
  const auto made = importer_.makers_.find(value);
  return made != importer_.makers_.end() && made->second->op_type() == op ? made->second : nullptr;
}

const pb::NodeProto* Reader::maker(const std::string& value) const {
  const auto made = importer_.makers_.find(value);
  return made == importer_.makers_.end() ? nullptr : made->second;
}

std::vector<std::string> Reader::tokens() const {
  std::vector<std::string> names;
  for (const auto& input : importer_.graph_.input())
    if (const Known& found = known(input.name()); found.kind == Known::kValue)
      if (const graph::ValueType& type = type_of(found.value); type.dtype == io::DType::kI64 && type.dims.size() == 2) names.push_back(input.name());
  return names;
}

const pb::NodeProto* Reader::only_user(const std::string& value) const {
  const auto users = importer_.users_.find(value);
  return users != importer_.users_.end() && users->second.size() == 1 && !importer_.outputs_.count(value) ? users->second[0] : nullptr;
}

void Reader::swallow(const pb::NodeProto& node) {
  importer_.swallowed_.insert(&node);
  if (node.output_size() && node_.output_size()) importer_.known_[node.output(0)] = importer_.known_[node_.output(0)];
}

const graph::ValueType& Reader::type_of(const std::string& value) const { return importer_.builder_.type(value); }

std::string Reader::input_of_size(const graph::Dim& size) const {
  for (const auto& input : importer_.graph_.input()) {
    const Known& found = known(input.name());
    if (found.kind != Known::kValue) continue;
    const std::vector<graph::Dim>& dims = type_of(found.value).dims;
    if (!dims.empty() && dims[0] == size) return found.value;
  }
  return "";
}

std::string Reader::key_mask(const std::string& keys) {
  std::string& mask = importer_.key_masks_[keys];
  if (mask.empty()) mask = importer_.builder_.node("key_mask", importer_.unique(keys + "/key_mask"), {keys});
  return mask;
}

io::Array Reader::values(const pb::TensorProto& tensor, const io::Bytes& raw) const {
  std::map<std::string, io::Bytes> beside;
  return tensor_values(tensor, raw, importer_.where_, beside);
}

void Reader::fail(const std::string& what) const { throw Error(Exit::kInput, importer_.at(node_), what); }

Imported import_graph(const pb::ModelProto& proto, std::map<std::string, io::Array> initializers, const std::string& where) {
  return Importer(proto, std::move(initializers), where).run();
}

}  // namespace ds::onnx
