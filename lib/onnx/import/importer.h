// From ONNX's nodes to our graph. One op family a file in onnx/import/, each op a function that adds what the node means:
//   const core::Body<onnx::ImportOp> body{"onnx-import", "Conv", conv};
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "base/graph/builder.h"
#include "base/io/files.h"
#include "onnx/proto.h"

namespace ds::onnx {

struct Imported {
  graph::Graph graph;  ///< verified
  std::map<std::string, io::Array> tensors;
};

/// Throws ds::Error or ds::ErrorList (kInput): a graph with a cycle or with values that nobody makes, ops without a form here (all of them, with
/// their nodes), shapes that do not fit.
Imported import_graph(const pb::ModelProto& proto, std::map<std::string, io::Array> initializers, const std::string& where);

/// What a value of ONNX is to us: numbers that the file holds, sizes that follow from shapes, or a value of the graph.
struct Known {
  enum Kind { kNothing, kConstant, kSizes, kValue } kind = kNothing;
  io::Array array;                ///< kConstant
  std::vector<graph::Dim> sizes;  ///< kSizes: int64 [n], or [] where `scalar`
  bool scalar = false;
  std::string value;              ///< kValue
  std::string name;               ///< kConstant: the tensor's name
};

class Importer;

/// One node, as an op's function sees it.
class Reader {
 public:
  Reader(Importer& importer, const pb::NodeProto& node) : importer_(importer), node_(node) {}
  const pb::NodeProto& node() const { return node_; }
  Importer& importer() { return importer_; }

  bool has(int i) const { return i < node_.input_size() && !node_.input(i).empty(); }
  const Known& in(int i) const;
  bool is_constant(int i) const { return has(i) && in(i).kind == Known::kConstant; }
  /// The value of the graph; a constant becomes a `tensor` node. Throws where it is neither.
  std::string value(int i);
  const graph::ValueType& type(int i);
  /// Numbers of a constant, or sizes that are known. Throws ds::Error(kInput) where they are not.
  std::vector<std::int64_t> integers(int i) const;
  double number(int i) const;
  /// Sizes, known or not: of a shape, or of a constant.
  std::optional<std::vector<graph::Dim>> sizes(int i) const;

  std::int64_t i(const char* name, std::int64_t otherwise) const;
  double f(const char* name, double otherwise) const;
  std::string s(const char* name, const char* otherwise) const;
  std::vector<std::int64_t> ints(const char* name, std::vector<std::int64_t> otherwise) const;
  const pb::AttributeProto* attribute(const char* name) const;

  /// Output 0 is a new node of our graph. Slots are names of tensors that `tensor` gave.
  void set(const std::string& op, const std::vector<std::string>& inputs, graph::Json attrs = graph::Json::object(),
           std::map<std::string, graph::Slot> slots = {}, const std::set<std::string>& without = {}, const std::string& wanted_name = "");
  /// The same for a node in between; returns its value.
  std::string add(const std::string& op, const std::vector<std::string>& inputs, graph::Json attrs = graph::Json::object(),
                  std::map<std::string, graph::Slot> slots = {}, const std::set<std::string>& without = {}, const std::string& wanted_name = "");
  void put(Known known, int output = 0);
  void put_value(const std::string& value, int output = 0);

  /// The constant as a tensor of our table, called as it is called in the file.
  graph::Slot tensor(int i, graph::Role role = graph::Role::kParameter);
  graph::Slot tensor(const io::Array& array, const std::string& name, graph::Role role = graph::Role::kParameter);
  /// What the node would be called: by its weight ("layer1.0.conv1" of "layer1.0.conv1.weight"), else by the file's name of the node.
  std::string name_by_weight(int i) const;

  /// The node that makes an input where it is of that op, else nullptr.
  const pb::NodeProto* made_by(const std::string& value, const char* op) const;
  /// The node that makes a value, or nullptr.
  const pb::NodeProto* maker(const std::string& value) const;
  /// The file's names of the inputs that are int64 of two axes: tokens and their masks.
  std::vector<std::string> tokens() const;
  /// The one node that reads an output, where there is one alone and it is no output of the graph.
  const pb::NodeProto* only_user(const std::string& value) const;
  /// A later node is part of this one: its output 0 is that value.
  void swallow(const pb::NodeProto& node);
  const Known& known(const std::string& value) const;

  const graph::ValueType& type_of(const std::string& value) const;
  /// An input of the graph whose axis 0 has that size, or "".
  std::string input_of_size(const graph::Dim& size) const;
  /// What attention adds for a mask of keys, int64 [N, S], of our graph; once for all who read it.
  std::string key_mask(const std::string& keys);
  /// The numbers of a tensor that an attribute holds.
  io::Array values(const pb::TensorProto& tensor, const io::Bytes& raw) const;

  /// Throws ds::Error(kInput) that names the node.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  Importer& importer_;
  const pb::NodeProto& node_;
};

/// Kind "onnx-import", by ONNX's name of the op. Leaves the outputs as they are (kNothing) where the node means something only together with a later
/// one, which then looks back.
using ImportOp = void(Reader& r);

}  // namespace ds::onnx
