// Channel classes: every element of every channel-like axis gets an identity (an atom); each op joins or relabels atoms exactly.
// Pruning is "remove these classes". An op without a rule freezes what it touches. (The idea of dependency groups: Fang et al. 2023,
// "DepGraph", arXiv:2301.12900; here done on elements by union-find instead of on layers by tracing.)
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/graph/schema.h"

namespace ds::graph {

using Atom = std::int32_t;
using Atoms = std::vector<Atom>;  ///< one an element of an axis; empty: the axis is not channel-like (batch, sequence, height, width)

/// What an op's rule sees and says.
class ChannelRule {
 public:
  virtual ~ChannelRule();
  virtual const NodeView& view() const = 0;
  /// Atoms of an axis of an input (negative axes count from the end). Empty where it is not tracked.
  virtual Atoms input(std::size_t i, int axis) = 0;
  /// States the atoms of an axis of an output; axes that are not stated are not tracked.
  virtual void output(std::size_t i, int axis, const Atoms& atoms) = 0;
  /// Atoms of an axis of a slot's tensor (its slice): shared by all nodes that use the tensor.
  virtual Atoms slot(const std::string& name, int axis) = 0;
  virtual Atoms fresh(std::int64_t n) = 0;
  /// These are one and the same channel. Lists must have one length; where one list is empty the other is frozen.
  virtual void unify(const Atoms& a, const Atoms& b) = 0;
  virtual void unify(Atom a, Atom b) = 0;
  /// Never removed; `reason` is reported.
  virtual void freeze(const Atoms& atoms, const std::string& reason) = 0;
  /// Removing one changes the statistics that a norm takes over the others (layer norm, group norm): equality with masking does not hold.
  virtual void couple(const Atoms& atoms) = 0;
  /// Freezes every axis of the node's inputs and slots and notes that its op has no rule. Outputs stay untracked.
  virtual void no_rule() = 0;
};

/// One class: what must go together. Members: (tensor, axis) -> indices, ascending.
struct ChannelClass {
  std::map<std::pair<std::string, int>, std::vector<std::int64_t>> members;
  bool frozen = false;
  bool coupled = false;  ///< see ChannelRule::couple
  std::string reason;    ///< why it is frozen
  int group = -1;        ///< classes whose members lie on the same axes of the same tensors
};

/// Classes with the same (tensor, axis) pairs: the channels of one "layer", the heads of one attention ...
struct ChannelGroup {
  std::string name;          ///< the first tensor of its members, by order of the graph
  std::vector<int> classes;  ///< indices into ChannelClasses::classes, in order of the channels
  bool frozen = false;       ///< all of its classes are
  std::size_t elements = 0;  ///< tensor elements that one class removes, roughly: of the first class
};

struct ChannelClasses {
  std::vector<ChannelClass> classes;
  std::vector<ChannelGroup> groups;
  /// Per value and axis the class of each element (-1: none): for masks and taps.
  std::map<std::pair<std::string, int>, std::vector<int>> values;
  std::vector<std::string> notes;  ///< "layer 'x' (op 'y') has no channel rule: frozen"
};

ChannelClasses channel_classes(const Graph& graph);

/// What slicing keeps: (tensor, axis) -> kept indices, ascending; axes that lose nothing are absent.
using Keep = std::map<std::pair<std::string, int>, std::vector<std::int64_t>>;
Keep keep_without(const Graph& graph, const ChannelClasses& classes, const std::set<int>& removed);

/// The graph after slicing: shapes of tensors, slices of slots, and attributes that state sizes. The verifier runs on the result.
/// Throws ds::Error(kFailure) where an axis would lose all of its elements.
Graph slice_graph(const Graph& graph, const Keep& keep);
/// A tensor after slicing: the kept indices of each axis. Works on every dtype of at least 8 bits.
io::Array slice_array(const io::Array& array, const std::string& name, const Keep& keep);

}  // namespace ds::graph
