#include <doctest/doctest.h>

#include <numeric>
#include <random>

#include "base/core/error.h"
#include "base/graph/channels.h"
#include "unit/graph/nets.h"

using namespace ds::graph;
using Shape = std::vector<std::int64_t>;

namespace {

/// The class that an element of a tensor's axis is in.
int class_of(const ChannelClasses& classes, const std::string& tensor, int axis, std::int64_t index) {
  for (std::size_t c = 0; c < classes.classes.size(); ++c) {
    const auto it = classes.classes[c].members.find({tensor, axis});
    if (it != classes.classes[c].members.end() && std::count(it->second.begin(), it->second.end(), index)) return static_cast<int>(c);
  }
  return -1;
}

Graph without(const Graph& graph, const std::vector<std::pair<std::string, std::int64_t>>& rows) {
  const ChannelClasses classes = channel_classes(graph);
  std::set<int> removed;
  for (const auto& [tensor, row] : rows) removed.insert(class_of(classes, tensor, 0, row));
  return slice_graph(graph, keep_without(graph, classes, removed));
}

}  // namespace

TEST_CASE("slice: a removed channel leaves every tensor of its class") {
  const Graph graph = nets::chain();
  const ChannelClasses classes = channel_classes(graph);
  const Keep keep = keep_without(graph, classes, {class_of(classes, "conv1.weight", 0, 1)});
  CHECK(keep.at({"conv1.weight", 0}) == Shape{0, 2, 3});
  CHECK(keep.at({"conv2.weight", 1}) == Shape{0, 2, 3});
  CHECK(keep.size() == 7);
  const Graph small = slice_graph(graph, keep);
  CHECK(small.tensor("conv1.weight").shape == Shape{3, 3, 3, 3});
  CHECK(small.tensor("bn1.running_var").shape == Shape{3});
  CHECK(small.tensor("conv2.weight").shape == Shape{2, 3, 1, 1});
  CHECK(small.find_node("conv1")->attrs["out_channels"] == 3);
  CHECK(type_text(infer_types(small).at("relu1")) == "float32[N, 3, 4, 4]");
  CHECK(small.tensor("conv2.weight").init["fan_in"] == 3);
  CHECK(cost(small).parameters == 3 * 27 + 3 + 6 + 6 + 2);
}

TEST_CASE("slice: attributes that state sizes follow") {
  const Graph cat = without(nets::concat(), {{"a.weight", 0}, {"b.weight", 1}});
  CHECK(cat.tensor("head.weight").shape == Shape{2, 3, 1, 1});
  const Graph twice = without(nets::concat_twice(), {{"a.weight", 2}});
  CHECK(twice.tensor("head.weight").shape == Shape{2, 4, 1, 1});
  const Graph split = without(nets::split(), {{"a.weight", 0}, {"a.weight", 3}, {"a.weight", 4}});
  CHECK(split.find_node("parts")->attrs["sizes"] == Json{1, 1});
  const Graph flat = without(nets::flatten(), {{"conv.weight", 1}});
  CHECK(flat.tensor("fc.weight").shape == Shape{2, 8});
  const Graph grouped = without(nets::grouped(), {{"a.weight", 1}, {"grouped.weight", 1}});
  CHECK(grouped.tensor("a.weight").shape == Shape{4, 3, 1, 1});
  CHECK(grouped.tensor("grouped.weight").shape == Shape{2, 2, 3, 3});
  CHECK(grouped.find_node("grouped")->attrs["groups"] == 2);
  const Graph deep = without(nets::depthwise(), {{"a.weight", 0}});
  CHECK(deep.tensor("deep.weight").shape == Shape{4, 1, 3, 3});
  CHECK(deep.find_node("deep")->attrs["groups"] == 2);
  CHECK(without(nets::residual(), {{"b.weight", 3}}).tensor("b.weight").shape == Shape{3, 3, 3, 3});
}

TEST_CASE("slice: slots that are rows of a tensor keep pointing at their own") {
  const Graph rows = without(nets::sliced(), {{"shared", 1}, {"shared", 4}, {"shared", 5}});
  CHECK(rows.tensor("shared").shape == Shape{4, 3});
  const Slot& a = rows.find_node("a")->slots.at("weight");
  const Slot& b = rows.find_node("b")->slots.at("weight");
  CHECK(a.begin == 0);
  CHECK(a.end == 2);
  CHECK(b.begin == 2);
  CHECK(b.end == 4);
  const Graph heads = without(nets::heads(), {{"in_proj_weight", 2}});
  CHECK(heads.find_node("attend")->attrs["heads"] == 3);
  CHECK(heads.tensor("in_proj_weight").shape == Shape{18, 6});
  CHECK(heads.find_node("v")->slots.at("weight").begin == 12);
  CHECK(heads.tensor("out_proj.weight").shape == Shape{6, 6});
  const Graph gqa = without(nets::heads(2), {{"in_proj_weight", 0}, {"embed.weight", 5}});
  CHECK(gqa.find_node("attend")->attrs["heads"] == 2);
  CHECK(gqa.find_node("attend")->attrs["kv_heads"] == 1);
  CHECK(gqa.tensor("in_proj_weight").shape == Shape{8, 5});
}

TEST_CASE("slice: tied tensors stay one") {
  const Graph graph = nets::tied();
  const ChannelClasses classes = channel_classes(graph);
  const int column = class_of(classes, "embed.weight", 1, 2);
  const Graph small = slice_graph(graph, keep_without(graph, classes, {column}));
  CHECK(small.tensor("embed.weight").shape == Shape{5, 3});
  CHECK(small.find_node("embed")->attrs["dim"] == 3);
  CHECK(small.find_node("head")->slots.at("weight").tensor == "embed.weight");
}

TEST_CASE("slice: what must not go is refused by name") {
  const Graph graph = nets::chain();
  const ChannelClasses classes = channel_classes(graph);
  CHECK_THROWS_WITH_AS(keep_without(graph, classes, {class_of(classes, "conv1.weight", 1, 0)}), doctest::Contains("is never removed: graph input"),
                       ds::Error);
  CHECK_THROWS_WITH_AS(without(graph, {{"conv1.weight", 0}, {"conv1.weight", 1}, {"conv1.weight", 2}, {"conv1.weight", 3}}),
                       doctest::Contains("axis 0 would lose all of its 4 elements"), ds::Error);
  // All of one piece of a split: its tensors have others left, the value has none.
  CHECK_THROWS_WITH_AS(without(nets::split(), {{"a.weight", 0}, {"a.weight", 1}}), doctest::Contains("would lose all of its 2 elements"), ds::Error);
  // A list of indices that takes a part of a class only.
  CHECK_THROWS_WITH_AS(slice_graph(graph, {{{"conv1.weight", 0}, {0, 1, 2}}}), doctest::Contains("belongs to a class"), ds::Error);
  CHECK_THROWS_WITH_AS(slice_graph(graph, {{{"conv1.weight", 0}, {2, 1, 0}}}), doctest::Contains("do not ascend"), ds::Error);
  CHECK_THROWS_WITH_AS(slice_graph(graph, {{{"conv9.weight", 0}, {0}}}), doctest::Contains("is not in the graph"), ds::Error);
  CHECK(to_json(slice_graph(graph, {})) == to_json(graph));
}

TEST_CASE("slice: any removable classes of any net leave a net that verifies, of the sizes that the classes say") {
  std::mt19937 random(1);
  for (const auto& [name, graph] : nets::all()) {
    INFO(name);
    for (int round = 0; round < 20; ++round) {
      const ChannelClasses classes = channel_classes(graph);
      std::set<int> removed;
      for (std::size_t c = 0; c < classes.classes.size(); ++c) {
        if (!classes.classes[c].frozen && random() % 3 == 0) removed.insert(static_cast<int>(c));
      }
      Graph small;
      try {
        small = slice_graph(graph, keep_without(graph, classes, removed));
      } catch (const ds::Error& e) {
        CHECK(e.message().find("would lose all") != std::string::npos);
        continue;
      }
      CHECK(to_json(from_json(to_json(small), "")) == to_json(small));
      const auto types = infer_types(small);
      for (const auto& [key, list] : classes.values) {
        const auto left = std::count_if(list.begin(), list.end(), [&](int c) { return c < 0 || removed.count(c) == 0; });
        CHECK(types.at(key.first).dims[static_cast<std::size_t>(key.second)] == Dim(std::int64_t{left}));
      }
    }
  }
}

TEST_CASE("slice: arrays lose the same elements, of every dtype of whole bytes") {
  ds::io::Array array = ds::io::make_array(DType::kI8, {2, 3, 2});
  std::iota(array.as<std::int8_t>(), array.as<std::int8_t>() + 12, std::int8_t{0});
  const Keep keep = {{{"w", 0}, {1}}, {{"w", 1}, {0, 2}}, {{"v", 2}, {0}}};
  const ds::io::Array small = slice_array(array, "w", keep);
  CHECK(small.shape == Shape{1, 2, 2});
  CHECK(std::vector<int>(small.as<std::int8_t>(), small.as<std::int8_t>() + 4) == std::vector<int>{6, 7, 10, 11});
  CHECK(slice_array(array, "u", keep).data == array.data);

  ds::io::Array wide = ds::io::make_array(DType::kF64, {3});
  std::iota(wide.as<double>(), wide.as<double>() + 3, 0.5);
  const ds::io::Array last = slice_array(wide, "w", {{{"w", 0}, {2}}});
  CHECK(last.shape == Shape{1});
  CHECK(last.as<double>()[0] == 2.5);
  CHECK_THROWS_WITH_AS(slice_array(ds::io::make_array(DType::kI4, {4}), "w", {{{"w", 0}, {2}}}), doctest::Contains("int4"), ds::Error);
  CHECK_THROWS_AS(slice_array(wide, "w", {{{"w", 0}, {3}}}), ds::Error);
  CHECK_THROWS_AS(slice_array(wide, "w", {{{"w", 1}, {0}}}), ds::Error);
}
