#include "base/graph/channels.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/core/error.h"

namespace ds::graph {
namespace channels {

using Key = std::pair<std::string, int>;  // tensor or value, axis

// Atoms with union-find. What is said of a class is kept at its root.
class Atlas {
 public:
  Atoms fresh(std::int64_t n) {
    Atoms atoms(static_cast<std::size_t>(n));
    std::iota(atoms.begin(), atoms.end(), static_cast<Atom>(parent_.size()));
    parent_.insert(parent_.end(), atoms.begin(), atoms.end());
    return atoms;
  }

  Atom find(Atom a) {
    while (parent_[static_cast<std::size_t>(a)] != a) {
      Atom& up = parent_[static_cast<std::size_t>(a)];
      up = parent_[static_cast<std::size_t>(up)];
      a = up;
    }
    return a;
  }

  void unify(Atom a, Atom b) {
    a = find(a), b = find(b);
    if (a == b) return;
    if (b < a) std::swap(a, b);  // the older one is the root: the result does not depend on the order of calls
    parent_[static_cast<std::size_t>(b)] = a;
    if (const auto it = frozen_.find(b); it != frozen_.end()) {
      frozen_.emplace(a, it->second);
      frozen_.erase(it);
    }
    if (coupled_.erase(b)) coupled_.insert(a);
  }

  void freeze(Atom a, const std::string& reason) { frozen_.emplace(find(a), reason); }
  void couple(Atom a) { coupled_.insert(find(a)); }
  bool coupled(Atom root) const { return coupled_.count(root) != 0; }
  const std::string* frozen(Atom root) const {
    const auto it = frozen_.find(root);
    return it == frozen_.end() ? nullptr : &it->second;
  }

 private:
  std::vector<Atom> parent_;
  std::unordered_map<Atom, std::string> frozen_;
  std::set<Atom> coupled_;
};

struct State {
  explicit State(const Graph& g) : graph(g), types(infer_types(g)) {
    for (const TensorSpec& spec : g.tensors) tensors[spec.name] = &spec;
  }
  // A list of atoms for an axis of a tensor: made when it is asked for first.
  const Atoms& tensor(const std::string& name, int axis) {
    const auto [it, added] = members.try_emplace({name, axis});
    if (added) it->second = atlas.fresh(tensors.at(name)->shape[static_cast<std::size_t>(axis)]);
    return it->second;
  }

  const Graph& graph;
  std::map<std::string, ValueType> types;
  std::unordered_map<std::string, const TensorSpec*> tensors;
  Atlas atlas;
  std::map<Key, Atoms> values, members;
  std::vector<std::string> notes;
};

class Rule : public ChannelRule {
 public:
  Rule(State& state, const NodeView& view) : state_(state), view_(view) {}

  const NodeView& view() const override { return view_; }

  Atoms input(std::size_t i, int axis) override {
    const std::string& value = view_.node().inputs.at(i);
    const auto it = state_.values.find({value, place(axis, view_.input(i).dims.size())});
    return it == state_.values.end() ? Atoms{} : it->second;
  }

  void output(std::size_t i, int axis, const Atoms& atoms) override {
    const std::string value = view_.node().output(static_cast<int>(i));
    const ValueType& type = state_.types.at(value);
    axis = place(axis, type.dims.size());
    if (atoms.empty()) return;
    const Dim& dim = type.dims[static_cast<std::size_t>(axis)];
    if (!dim.is_known() || dim.value() != static_cast<std::int64_t>(atoms.size()))
      fail(fmt::format("states {} channels for axis {} of its output {}", atoms.size(), axis, type_text(type)));
    state_.values[{value, axis}] = atoms;
  }

  Atoms slot(const std::string& name, int axis) override {
    const std::vector<std::int64_t> shape = view_.slot_shape(name);
    axis = place(axis, shape.size());
    const Slot& slot = view_.node().slots.at(name);
    const Atoms& all = state_.tensor(slot.tensor, axis);
    if (slot.whole() || slot.axis != axis) return all;
    return Atoms(all.begin() + slot.begin, all.begin() + slot.end);
  }

  Atoms fresh(std::int64_t n) override { return state_.atlas.fresh(n); }

  void unify(const Atoms& a, const Atoms& b) override {
    if (a.empty() || b.empty()) return freeze(a.empty() ? b : a, fmt::format("meets an untracked axis at node '{}'", view_.node().name));
    if (a.size() != b.size()) fail(fmt::format("joins {} channels with {}", a.size(), b.size()));
    for (std::size_t i = 0; i < a.size(); ++i) state_.atlas.unify(a[i], b[i]);
  }

  void unify(Atom a, Atom b) override { state_.atlas.unify(a, b); }

  void freeze(const Atoms& atoms, const std::string& reason) override {
    for (const Atom atom : atoms) state_.atlas.freeze(atom, reason);
  }

  void couple(const Atoms& atoms) override {
    for (const Atom atom : atoms) state_.atlas.couple(atom);
  }

  void no_rule() override {
    const std::string note = fmt::format("layer '{}' (op '{}') has no channel rule: frozen", view_.node().name, view_.node().op);
    state_.notes.push_back(note);
    for (std::size_t i = 0; i < view_.inputs().size(); ++i) {
      for (std::size_t axis = 0; axis < view_.input(i).dims.size(); ++axis) freeze(input(i, static_cast<int>(axis)), note);
    }
    for (const auto& [name, slot_of] : view_.node().slots) {
      for (std::size_t axis = 0; axis < view_.slot_shape(name).size(); ++axis) freeze(slot(name, static_cast<int>(axis)), note);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(Exit::kFailure, view_.where(), "its channel rule " + what); }

  int place(int axis, std::size_t rank) const {
    const int size = static_cast<int>(rank), counted = axis < 0 ? axis + size : axis;
    if (counted < 0 || counted >= size) fail(fmt::format("asks for axis {} of {}", axis, size));
    return counted;
  }

  State& state_;
  const NodeView& view_;
};

// Which axis of an input holds channels: [N, C, ...] of images, the last of [N, F] and [N, S, E]. Sizes known only at run time hold none.
void seed_inputs(State& state) {
  for (const Input& input : state.graph.inputs) {
    const std::size_t rank = input.type.dims.size();
    if (!io::is_float(input.type.dtype) || rank < 2) continue;
    const std::size_t axis = rank == 3 ? 2 : 1;
    if (!input.type.dims[axis].is_known()) continue;
    const Atoms atoms = state.atlas.fresh(input.type.dims[axis].value());
    for (const Atom atom : atoms) state.atlas.freeze(atom, "graph input");
    state.values[{input.name, static_cast<int>(axis)}] = atoms;
  }
}

void freeze_outputs(State& state) {
  for (const Output& output : state.graph.outputs) {
    for (auto it = state.values.lower_bound({output.value, 0}); it != state.values.end() && it->first.first == output.value; ++it) {
      for (const Atom atom : it->second) state.atlas.freeze(atom, "graph output");
    }
  }
}

std::map<std::string, int> tensor_order(const Graph& graph) {
  std::map<std::string, int> order;
  for (const TensorSpec& spec : graph.tensors) order.emplace(spec.name, static_cast<int>(order.size()));
  return order;
}

// The classes of all roots that tensors have, in order of the tensors, axes and indices where each is met first.
std::vector<ChannelClass> collect(State& state, std::unordered_map<Atom, int>& class_of) {
  std::vector<ChannelClass> classes;
  for (const TensorSpec& spec : state.graph.tensors) {
    for (auto it = state.members.lower_bound({spec.name, 0}); it != state.members.end() && it->first.first == spec.name; ++it) {
      for (std::size_t i = 0; i < it->second.size(); ++i) {
        const Atom root = state.atlas.find(it->second[i]);
        const auto [entry, added] = class_of.try_emplace(root, static_cast<int>(classes.size()));
        if (added) {
          ChannelClass fresh;
          fresh.coupled = state.atlas.coupled(root);
          if (const std::string* reason = state.atlas.frozen(root)) fresh.frozen = true, fresh.reason = *reason;
          classes.push_back(std::move(fresh));
        }
        classes[static_cast<std::size_t>(entry->second)].members[it->first].push_back(static_cast<std::int64_t>(i));
      }
    }
  }
  return classes;
}

void form_groups(State& state, ChannelClasses& result) {
  const std::map<std::string, int> order = tensor_order(state.graph);
  std::map<std::vector<Key>, int> known;
  for (std::size_t c = 0; c < result.classes.size(); ++c) {
    ChannelClass& entry = result.classes[c];
    std::vector<Key> keys;
    for (const auto& [key, indices] : entry.members) keys.push_back(key);
    const auto [it, added] = known.try_emplace(keys, static_cast<int>(result.groups.size()));
    if (added) {
      const auto first = [&](const Key& a, const Key& b) { return std::pair(order.at(a.first), a.second) < std::pair(order.at(b.first), b.second); };
      ChannelGroup group;
      group.name = std::min_element(keys.begin(), keys.end(), first)->first;
      group.frozen = true;
      for (const auto& [key, indices] : entry.members) {
        const std::vector<std::int64_t>& shape = state.tensors.at(key.first)->shape;
        std::int64_t others = 1;
        for (std::size_t axis = 0; axis < shape.size(); ++axis) others *= static_cast<int>(axis) == key.second ? 1 : shape[axis];
        group.elements += static_cast<std::size_t>(others) * indices.size();
      }
      result.groups.push_back(std::move(group));
    }
    entry.group = it->second;
    ChannelGroup& group = result.groups[static_cast<std::size_t>(it->second)];
    group.classes.push_back(static_cast<int>(c));  // classes come by their smallest index of the group's first tensor
    group.frozen = group.frozen && entry.frozen;
  }
}

}  // namespace channels

ChannelRule::~ChannelRule() = default;

ChannelClasses channel_classes(const Graph& graph) {
  channels::State state(graph);
  channels::seed_inputs(state);
  for (const Node& node : graph.nodes) {
    std::vector<ValueType> inputs;
    for (const std::string& value : node.inputs) inputs.push_back(state.types.at(value));
    const NodeView view(graph, node, std::move(inputs));
    channels::Rule rule(state, view);
    op(node.op).channels(rule);
  }
  channels::freeze_outputs(state);

  ChannelClasses result;
  std::unordered_map<Atom, int> class_of;
  result.classes = channels::collect(state, class_of);
  channels::form_groups(state, result);
  for (const auto& [key, atoms] : state.values) {
    std::vector<int>& list = result.values[key];
    for (const Atom atom : atoms) {
      const auto it = class_of.find(state.atlas.find(atom));
      list.push_back(it == class_of.end() ? -1 : it->second);
    }
  }
  result.notes = std::move(state.notes);
  return result;
}

}  // namespace ds::graph
