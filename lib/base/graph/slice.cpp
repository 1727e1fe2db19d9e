#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/graph/channels.h"

namespace ds::graph {
namespace slicing {

using Indices = std::vector<std::int64_t>;

[[noreturn]] void fail(const std::string& where, const std::string& what) { throw Error(Exit::kFailure, where, what); }

void shrink_tensors(Graph& graph, const Keep& keep) {
  for (const auto& [key, indices] : keep) {
    const auto& [name, axis] = key;
    const std::string where = fmt::format("tensor '{}'", name);
    TensorSpec* spec = graph.find_tensor(name);
    if (!spec) fail(where, "is not in the graph");
    if (axis < 0 || axis >= static_cast<int>(spec->shape.size())) fail(where, fmt::format("has no axis {}", axis));
    std::int64_t& size = spec->shape[static_cast<std::size_t>(axis)];
    if (indices.empty()) fail(where, fmt::format("axis {} would lose all of its {} elements", axis, size));
    const bool ascending = std::adjacent_find(indices.begin(), indices.end(), std::greater_equal<>()) == indices.end();
    if (!ascending || indices.front() < 0 || indices.back() >= size)
      fail(where, fmt::format("the kept indices of axis {} do not ascend within 0 to {}", axis, size - 1));
    size = static_cast<std::int64_t>(indices.size());
  }
}

// Rows of a slice that are kept lie together in what is left of the tensor.
void shrink_slot(const Node& node, const std::string& name, Slot& slot, const Keep& keep) {
  if (slot.whole()) return;
  const auto it = keep.find({slot.tensor, slot.axis});
  if (it == keep.end()) return;
  const auto rank = [&](std::int64_t row) { return std::lower_bound(it->second.begin(), it->second.end(), row) - it->second.begin(); };
  const std::int64_t begin = rank(slot.begin), end = rank(slot.end);
  if (begin == end)
    fail(fmt::format("node '{}' ({})", node.name, node.op), fmt::format("slot '{}' would lose all of its {} rows", name, slot.end - slot.begin));
  slot.begin = begin;
  slot.end = end;
}

// Which classes `keep` removes. A class goes as a whole or not at all.
std::vector<bool> removed_classes(const ChannelClasses& classes, const Keep& keep) {
  std::vector<bool> removed(classes.classes.size(), false);
  for (std::size_t c = 0; c < removed.size(); ++c) {
    std::size_t gone = 0, all = 0;
    for (const auto& [key, indices] : classes.classes[c].members) {
      const auto it = keep.find(key);
      all += indices.size();
      if (it == keep.end()) continue;
      for (const std::int64_t i : indices) gone += !std::binary_search(it->second.begin(), it->second.end(), i);
    }
    if (gone != 0 && gone != all) {
      const auto& [key, indices] = *classes.classes[c].members.begin();
      fail(fmt::format("tensor '{}'", key.first),
           fmt::format("element {} of axis {} belongs to a class of which only {} of {} elements would go", indices[0], key.second, gone, all));
    }
    removed[c] = gone != 0;
  }
  return removed;
}

// Elements of the axes of values that stay; axes that lose nothing are absent.
std::map<std::pair<std::string, int>, Indices> kept_values(const ChannelClasses& classes, const std::vector<bool>& removed) {
  std::map<std::pair<std::string, int>, Indices> kept;
  for (const auto& [key, list] : classes.values) {
    Indices stay;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] < 0 || !removed[static_cast<std::size_t>(list[i])]) stay.push_back(static_cast<std::int64_t>(i));
    }
    if (stay.empty()) fail(fmt::format("value '{}'", key.first), fmt::format("axis {} would lose all of its {} elements", key.second, list.size()));
    if (stay.size() != list.size()) kept[key] = std::move(stay);
  }
  return kept;
}

// Initialisers that depend on sizes follow them, where the tensor had the schema's.
void renew_initialisers(Graph& graph, const NodeView& old, const NodeView& view) {
  const Op& schema = op(view.node().op);
  const std::vector<SlotSpec> before = schema.slots(old), after = schema.slots(view);
  for (std::size_t i = 0; i < before.size() && i < after.size(); ++i) {
    const auto it = view.node().slots.find(before[i].name);
    if (it == view.node().slots.end() || !it->second.whole() || before[i].name != after[i].name) continue;
    TensorSpec* spec = graph.find_tensor(it->second.tensor);
    if (spec && spec->init == before[i].init) spec->init = after[i].init;
  }
}

std::vector<ValueType> types_of(const Node& node, const std::map<std::string, ValueType>& types) {
  std::vector<ValueType> result;
  for (const std::string& value : node.inputs) result.push_back(types.at(value));
  return result;
}

}  // namespace slicing

Keep keep_without(const Graph& graph, const ChannelClasses& classes, const std::set<int>& removed) {
  std::map<std::pair<std::string, int>, std::vector<bool>> gone;
  for (const int c : removed) {
    const ChannelClass& entry = classes.classes.at(static_cast<std::size_t>(c));
    for (const auto& [key, indices] : entry.members) {
      if (entry.frozen)
        slicing::fail(fmt::format("tensor '{}'", key.first),
                      fmt::format("element {} of axis {} is never removed: {}", indices[0], key.second, entry.reason));
      std::vector<bool>& flags = gone[key];
      flags.resize(static_cast<std::size_t>(graph.tensor(key.first).shape.at(static_cast<std::size_t>(key.second))));
      for (const std::int64_t i : indices) flags.at(static_cast<std::size_t>(i)) = true;
    }
  }
  Keep keep;
  for (const auto& [key, flags] : gone) {
    std::vector<std::int64_t>& indices = keep[key];
    for (std::size_t i = 0; i < flags.size(); ++i) {
      if (!flags[i]) indices.push_back(static_cast<std::int64_t>(i));
    }
  }
  return keep;
}

Graph slice_graph(const Graph& graph, const Keep& keep) {
  const ChannelClasses classes = channel_classes(graph);
  Graph result = graph;
  slicing::shrink_tensors(result, keep);
  const auto kept = slicing::kept_values(classes, slicing::removed_classes(classes, keep));
  const std::map<std::string, ValueType> old_types = infer_types(graph);
  std::map<std::string, ValueType> types;
  for (const Input& input : result.inputs) types[input.name] = input.type;
  for (std::size_t n = 0; n < result.nodes.size(); ++n) {
    Node& node = result.nodes[n];
    for (auto& [name, slot] : node.slots) slicing::shrink_slot(node, name, slot, keep);
    NodeView old(graph, graph.nodes[n], slicing::types_of(node, old_types));
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      for (auto it = kept.lower_bound({node.inputs[i], 0}); it != kept.end() && it->first.first == node.inputs[i]; ++it)
        old.set_kept(i, it->first.second, it->second);
    }
    const NodeView view(result, node, slicing::types_of(node, types));
    Json attrs = node.attrs;
    op(node.op).resize(old, view, attrs);
    for (const auto& [name, value] : attrs.items()) {  // a default that was not stated and still holds stays unstated
      if (node.attrs.contains(name) || value != old.attr(name)) node.attrs[name] = value;
    }
    slicing::renew_initialisers(result, old, view);
    const std::vector<ValueType> outputs = infer_node(view);
    for (std::size_t i = 0; i < outputs.size(); ++i) types[node.output(static_cast<int>(i))] = outputs[i];
  }
  verify(result, "after slicing");
  return result;
}

io::Array slice_array(const io::Array& array, const std::string& name, const Keep& keep) {
  if (io::dtype_bits(array.dtype) < 8)
    slicing::fail(fmt::format("tensor '{}'", name), fmt::format("{} elements share bytes and cannot be sliced", io::dtype_name(array.dtype)));
  const std::size_t element = static_cast<std::size_t>(io::dtype_bits(array.dtype)) / 8;
  io::Array current = array;
  for (auto it = keep.lower_bound({name, 0}); it != keep.end() && it->first.first == name; ++it) {
    const std::size_t axis = static_cast<std::size_t>(it->first.second);
    const std::vector<std::int64_t>& indices = it->second;
    if (axis >= current.shape.size() || indices.empty() || indices.front() < 0 || indices.back() >= current.shape[axis])
      slicing::fail(fmt::format("tensor '{}'", name), fmt::format("of {} axes cannot be sliced along axis {}", current.shape.size(), axis));
    std::size_t outer = 1, inner = element;
    for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(current.shape[i]);
    for (std::size_t i = axis + 1; i < current.shape.size(); ++i) inner *= static_cast<std::size_t>(current.shape[i]);
    const std::size_t rows = static_cast<std::size_t>(current.shape[axis]);
    std::vector<std::int64_t> shape = current.shape;
    shape[axis] = static_cast<std::int64_t>(indices.size());
    if (!array.data) {  // shapes alone were loaded
      current.shape = std::move(shape);
      continue;
    }
    io::Array next = io::make_array(current.dtype, std::move(shape));
    std::byte* to = next.data;
    for (std::size_t o = 0; o < outer; ++o) {
      for (const std::int64_t i : indices) {
        std::memcpy(to, current.data + (o * rows + static_cast<std::size_t>(i)) * inner, inner);
        to += inner;
      }
    }
    current = std::move(next);
  }
  return current;
}

}  // namespace ds::graph
