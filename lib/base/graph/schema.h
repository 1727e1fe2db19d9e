// What an op is: attributes, slots, shapes, cost, channel rule. One op family a file in graph/ops/, each registering its ops:
//   const graph::OpRegistrar conv{std::make_unique<Conv2d>()};
#pragma once
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/graph/graph.h"

namespace ds::graph {

class ChannelRule;  // channels.h

enum class AttrType { kInt, kFloat, kBool, kString, kInts, kFloats };

struct AttrSpec {
  std::string name;
  AttrType type = AttrType::kInt;
  Json default_value;  ///< null: required
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
};

/// A slot that a node of this op has, for the node's attributes and inputs.
struct SlotSpec {
  std::string name;
  Role role = Role::kParameter;
  bool optional = false;
  /// What a fresh tensor is: filled by Op::slots.
  std::vector<std::int64_t> shape = {};
  DType dtype = DType::kF32;
  Json init = {};
};

/// A node with the types of its inputs and the shapes of its slots.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node, std::vector<ValueType> inputs);

  const Graph& graph() const { return graph_; }
  const Node& node() const { return node_; }
  const std::vector<ValueType>& inputs() const { return inputs_; }
  const ValueType& input(std::size_t i = 0) const { return inputs_.at(i); }
  bool has_slot(const std::string& name) const { return node_.slots.count(name) != 0; }
  /// Shape of what the slot points to (a slice's own).
  std::vector<std::int64_t> slot_shape(const std::string& name) const;
  DType slot_dtype(const std::string& name) const;

  // Attributes, or their defaults from the schema.
  const Json& attr(const std::string& name) const;
  std::int64_t i(const std::string& name) const;
  double f(const std::string& name) const;
  bool b(const std::string& name) const;
  std::string s(const std::string& name) const;
  std::vector<std::int64_t> ints(const std::string& name) const;
  std::vector<double> floats(const std::string& name) const;

  [[noreturn]] void fail(const std::string& what, const std::string& hint = "") const;  ///< ds::Error(kInput, "node 'x' (op)", what, hint)
  std::string where() const;                                                            ///< "node 'conv1' (conv2d)"

  /// Only on the `old` view that Op::resize gets, filled by slice_graph: which elements of an axis (counted from 0) of an input stay,
  /// ascending; nullptr where all do. Split sizes and slice ranges cannot be told from sizes alone.
  const std::vector<std::int64_t>* kept(std::size_t input, int axis) const {
    auto found = kept_.find({input, axis});
    return found == kept_.end() ? nullptr : &found->second;
  }
  void set_kept(std::size_t input, int axis, std::vector<std::int64_t> indices) { kept_[{input, axis}] = std::move(indices); }

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<ValueType> inputs_;
  const class Op* op_;  ///< nullptr for an op that is not registered
  std::map<std::pair<std::size_t, int>, std::vector<std::int64_t>> kept_;
};

class Op {
 public:
  virtual ~Op();
  std::string name;
  std::string summary;
  std::vector<AttrSpec> attrs;
  int min_inputs = 1;
  int max_inputs = 1;  ///< -1: any number

  /// Slots of a node with these attributes and inputs, in fixed order, with the shapes of fresh tensors.
  virtual std::vector<SlotSpec> slots(const NodeView& view) const;
  /// Types of the outputs. Fails through `view.fail` where inputs, attributes or slots do not fit.
  virtual std::vector<ValueType> infer(const NodeView& view) const = 0;
  /// Multiply-accumulates of one call.
  virtual Dim macs(const NodeView& view) const;
  /// Which output channel is which input channel (channels.h). The default freezes all that the node touches, and names it.
  virtual void channels(ChannelRule& rule) const;
  /// After slicing: attributes that state sizes (groups, heads, split sizes) made to fit `view`'s inputs and slots, which are the new ones.
  /// `old` is the node before.
  virtual void resize(const NodeView& old, const NodeView& view, Json& attrs) const;
};

/// Number of inputs and attributes against the schema: types, ranges, choices, unknown names. Must hold before Op::slots is asked.
void check_attributes(const NodeView& view);
/// Slots against the schema: present, known, dtype (any float where one is stated) and shape. An empty shape in the SlotSpec fits any.
void check_slots(const NodeView& view);
/// Both checks, then Op::infer; sizes that are known must be positive. Throws ds::Error(kInput) naming the node.
std::vector<ValueType> infer_node(const NodeView& view);
/// The attributes of a node with the schema's defaults filled in and numbers in the stated type.
Json full_attributes(const Node& node);

/// Throws ds::Error(kInput, where, "unknown op ...", did you mean).
const Op& op(const std::string& name, const std::string& where = "");
const Op* find_op(const std::string& name);
std::vector<const Op*> ops();         ///< sorted by name
void add_op(std::unique_ptr<Op> op);  ///< a second op of a name is ds::Error(kFailure)
struct OpRegistrar {
  explicit OpRegistrar(std::unique_ptr<Op> op) { add_op(std::move(op)); }
};

}  // namespace ds::graph
