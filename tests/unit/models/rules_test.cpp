// Channel rules of the ops: every op has one, and pruning through it gives the sizes that are right by hand.
#include <doctest/doctest.h>

#include "base/graph/channels.h"
#include "unit/models/op_samples.h"

using namespace ds::graph;
using namespace op_samples;

namespace {

using Shape = std::vector<std::int64_t>;

/// The class of element i of an axis of a tensor.
int class_of(const ChannelClasses& all, const std::string& tensor, int axis, std::int64_t i) {
  for (std::size_t c = 0; c < all.classes.size(); ++c) {
    const auto it = all.classes[c].members.find({tensor, axis});
    if (it != all.classes[c].members.end() && std::binary_search(it->second.begin(), it->second.end(), i)) return static_cast<int>(c);
  }
  return -1;
}

Graph without(const Graph& g, const std::string& tensor, int axis, std::initializer_list<int> elements) {
  const ChannelClasses all = channel_classes(g);
  std::set<int> removed;
  for (const int i : elements) removed.insert(class_of(all, tensor, axis, i));
  REQUIRE(removed.count(-1) == 0);
  return slice_graph(g, keep_without(g, all, removed));
}

const ChannelClass& class_at(const ChannelClasses& all, const std::string& tensor, int axis, std::int64_t i) {
  return all.classes.at(static_cast<std::size_t>(class_of(all, tensor, axis, i)));
}

Graph done(Builder& b, const Value& x) {
  b.output("y", b.linear("head", x, 2));
  return b.finish();
}

}  // namespace

TEST_CASE("ops: each has a summary, sound attributes and a channel rule") {
  CHECK(ops().size() >= 42);
  for (const Op* op : ops()) {
    CAPTURE(op->name);
    CHECK(!op->summary.empty());
    CHECK(op->summary.back() != '.');
    for (const AttrSpec& attr : op->attrs) {
      CAPTURE(attr.name);
      CHECK(attr.min <= attr.max);
      if (attr.default_value.is_number()) {
        CHECK(attr.default_value.get<double>() >= attr.min);
        CHECK(attr.default_value.get<double>() <= attr.max);
      }
      if (!attr.choices.empty()) CHECK(std::count(attr.choices.begin(), attr.choices.end(), attr.default_value.get<std::string>()) == 1);
    }
    Builder b;
    b.output("y", sample(b, *op));
    CHECK(channel_classes(b.finish()).notes.empty());
  }
}

TEST_CASE("rules: grouped convolution loses the same position of every group") {
  Builder b;
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("pool", b.conv2d("conv", image(b), 8, 3, 1, 1, true, 2))));
  const Graph small = without(without(g, "conv.weight", 0, {0, 2}), "in.weight", 0, {1});
  CHECK(small.tensor("in.weight").shape == Shape{2, 3, 1, 1});
  CHECK(small.tensor("conv.weight").shape == Shape{4, 1, 3, 3});
  CHECK(small.tensor("head.weight").shape == Shape{2, 4});
  CHECK(small.find_node("conv")->attrs["groups"] == 2);
  CHECK(small.find_node("conv")->attrs["out_channels"] == 4);
}

TEST_CASE("rules: depthwise convolution with a multiplier") {
  Builder b;
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("pool", b.conv2d("conv", image(b), 8, 3, 1, 1, true, 4))));
  const Graph small = without(g, "conv.weight", 0, {5});
  CHECK(small.tensor("in.weight").shape == Shape{3, 3, 1, 1});
  CHECK(small.tensor("conv.weight").shape == Shape{6, 1, 3, 3});
  CHECK(small.find_node("conv")->attrs["groups"] == 3);
  CHECK(keep_without(g, channel_classes(g), {class_of(channel_classes(g), "conv.weight", 0, 5)}).at({"conv.weight", 0}) == Shape{0, 1, 2, 3, 6, 7});
}

TEST_CASE("rules: linear passes what is tracked on other axes") {
  Builder b;
  const Value x = b.node("permute", "turn", {tokens(b)}, {{"dims", {0, 2, 1}}});
  const Value y = b.linear("mix", b.node("slice", "cut", {b.input("z", DType::kF32, {sym("N"), 8, 5})}, {{"axis", 2}, {"end", 3}}), 6);
  b.output("x", x);
  b.output("y", y);
  const ChannelClasses all = channel_classes(b.finish());
  CHECK(all.values.count({"turn", 1}) == 1);
  CHECK(all.values.count({"turn", 2}) == 0);
  CHECK(class_at(all, "mix.weight", 1, 0).frozen);
  CHECK(class_at(all, "mix.weight", 0, 0).frozen);  // an output
}

TEST_CASE("rules: norms over the channels couple them, group norm evenly") {
  Builder b;
  Value x = b.node("group_norm", "norm", {image(b)}, {{"groups", 2}});
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("pool", x)));
  const ChannelClasses all = channel_classes(g);
  CHECK(class_at(all, "norm.weight", 0, 0).coupled);
  CHECK(class_of(all, "norm.weight", 0, 1) == class_of(all, "norm.weight", 0, 3));
  CHECK(class_of(all, "norm.weight", 0, 0) != class_of(all, "norm.weight", 0, 1));
  CHECK(without(g, "norm.weight", 0, {3}).tensor("norm.bias").shape == Shape{2});
  Builder c;
  const Graph h = done(c, c.node("softmax", "soft", {c.layer_norm("norm", tokens(c))}));
  CHECK(class_at(channel_classes(h), "norm.weight", 0, 0).coupled);
  CHECK(without(h, "norm.weight", 0, {3}).tensor("head.weight").shape == Shape{2, 7});
}

TEST_CASE("rules: broadcasting freezes the one element, equal sizes join") {
  Builder b;
  const Value x = image(b), gate = b.node("sigmoid", "gate", {b.conv2d("squeeze", b.global_avg_pool("pool", x), 4, 1)});
  const Value y = b.node("mul", "scaled", {x, gate});
  const Value one = b.conv2d("one", y, 1, 1);
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("mean", b.add("sum", y, one))));
  const ChannelClasses all = channel_classes(g);
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "squeeze.weight", 0, 2));
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "one.weight", 1, 2));
  CHECK(class_at(all, "one.weight", 0, 0).frozen);
  CHECK(without(g, "in.weight", 0, {0, 3}).tensor("squeeze.weight").shape == Shape{2, 2, 1, 1});
}

TEST_CASE("rules: split sizes, slice ranges and selected indices follow what stays") {
  Builder b;
  const Value parts = b.node("split", "parts", {tokens(b)}, {{"axis", -1}, {"sizes", {3, 5}}});
  b.output("a", b.linear("a", parts, 2));
  const Value right = b.node("slice", "cut", {Builder::output_of(parts, 1)}, {{"axis", 2}, {"begin", 1}, {"end", 4}});
  b.output("b", b.linear("b", right, 2));
  b.output("c",
           b.node("select", "pick", {b.node("permute", "turn", {Builder::output_of(parts, 1)}, {{"dims", {0, 2, 1}}})}, {{"axis", 1}, {"index", 3}}));
  const Graph g = b.finish();
  const ChannelClasses all = channel_classes(g);
  CHECK(class_at(all, "in.weight", 0, 6).frozen);
  CHECK(class_at(all, "in.weight", 0, 6).reason == "is selected by its index");
  const Graph small = without(g, "in.weight", 0, {0, 3, 5});
  CHECK(small.find_node("parts")->attrs["sizes"] == Json{2, 3});
  CHECK(small.find_node("cut")->attrs.value("begin", 0) == 0);
  CHECK(small.find_node("cut")->attrs["end"] == 2);
  CHECK(small.find_node("pick")->attrs["index"] == 1);
  CHECK(small.tensor("b.weight").shape == Shape{2, 2});
}

TEST_CASE("rules: reshape divides a channel axis by blocks and merges it in blocks") {
  Builder b;
  Value x = b.node("reshape", "heads", {tokens(b)}, {{"shape", {0, 0, 4, 2}}});
  x = b.node("permute", "turn", {x}, {{"dims", {0, 1, 3, 2}}});
  x = b.node("reshape", "merge", {x}, {{"shape", {0, 0, 8}}});
  const Graph g = done(b, x);
  const ChannelClasses all = channel_classes(g);
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "in.weight", 0, 3));
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "head.weight", 1, 1));
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "head.weight", 1, 5));
  const Graph small = without(g, "in.weight", 0, {2});
  CHECK(small.find_node("heads")->attrs["shape"] == Json{0, 0, 3, 2});
  CHECK(small.find_node("merge")->attrs["shape"] == Json{0, 0, 6});
  CHECK(small.tensor("head.weight").shape == Shape{2, 6});
}

TEST_CASE("rules: a reordered axis keeps each channel's identity, and loses any of them") {
  Builder b;
  const Value x = b.node("reorder", "shuffle", {image(b)}, {{"axis", 1}, {"order", {2, 0, 3, 1}}});
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("pool", x)));
  const ChannelClasses all = channel_classes(g);
  const std::int64_t order[] = {2, 0, 3, 1};
  for (std::int64_t i = 0; i < 4; ++i) CHECK(class_of(all, "head.weight", 1, i) == class_of(all, "in.weight", 0, order[i]));
  const Graph small = without(g, "in.weight", 0, {1});
  CHECK(small.find_node("shuffle")->attrs["order"] == Json{1, 0, 2});
  CHECK(small.tensor("head.weight").shape == Shape{2, 3});
  CHECK(keep_without(g, all, {class_of(all, "in.weight", 0, 1)}).at({"head.weight", 1}) == Shape{0, 1, 2});
}

TEST_CASE("rules: a free tensor [C, 1, 1] scales the channels of an image") {
  Builder b;
  const Value x = image(b);
  b.tensor({"scale", DType::kF32, {4, 1, 1}, Role::kParameter, {{"kind", "ones"}}});
  const Value scaled = b.node("mul", "scaled", {b.node("tensor", "free", {}, Json::object(), {{"value", {"scale"}}}), x});
  const Graph g = done(b, b.flatten("flat", b.global_avg_pool("pool", scaled)));
  const ChannelClasses all = channel_classes(g);
  CHECK(class_of(all, "scale", 0, 3) == class_of(all, "in.weight", 0, 3));
  CHECK(!class_at(all, "scale", 0, 3).frozen);
  const Graph one = without(g, "scale", 0, {0, 1, 3});
  CHECK(one.tensor("scale").shape == Shape{1, 1, 1});
  CHECK(one.tensor("in.weight").shape == Shape{1, 3, 1, 1});
  CHECK(channel_classes(one).notes.empty());
}

TEST_CASE("rules: a reshape that mixes axes freezes") {
  Builder b;
  Value x = b.node("reshape", "mix", {b.conv2d("in", b.input("x", DType::kF32, {sym("N"), 3, 3, 3}), 4, 1)}, {{"shape", {0, 6, 6}}});
  b.output("y", b.linear("head", x, 2));
  const ChannelClasses all = channel_classes(b.finish());
  CHECK(class_at(all, "in.weight", 0, 0).frozen);
  CHECK(class_at(all, "in.weight", 0, 0).reason == "is reshaped across axes");
}

TEST_CASE("rules: with fewer key and value heads a whole group of heads goes") {
  Builder b;
  const Value x = b.input("x", DType::kF32, {sym("N"), sym("S"), 8});
  const Value q = b.linear("q", x, 16), k = b.linear("k", x, 8), v = b.linear("v", x, 8);
  const Graph g = done(b, b.node("attention", "attend", {q, k, v}, {{"heads", 8}, {"kv_heads", 4}}));
  const ChannelClasses all = channel_classes(g);
  CHECK(class_of(all, "q.weight", 0, 4) == class_of(all, "q.weight", 0, 7));
  CHECK(class_of(all, "q.weight", 0, 4) == class_of(all, "k.weight", 0, 2));
  CHECK(class_of(all, "q.weight", 0, 4) == class_of(all, "head.weight", 1, 7));
  CHECK(class_of(all, "q.weight", 0, 3) != class_of(all, "q.weight", 0, 4));
  const Graph small = without(g, "v.weight", 0, {2});
  CHECK(small.tensor("q.weight").shape == Shape{12, 8});
  CHECK(small.tensor("k.weight").shape == Shape{6, 8});
  CHECK(small.tensor("head.weight").shape == Shape{2, 12});
  CHECK(small.find_node("attend")->attrs["heads"] == 6);
  CHECK(small.find_node("attend")->attrs["kv_heads"] == 3);
}

TEST_CASE("rules: a learned bias of attention loses its heads with those of the projections") {
  Builder b;
  const Value x = b.input("x", DType::kF32, {sym("N"), 5, 6}), ids = b.input("buckets", DType::kI64, {1, 5, 5});
  const Value q = b.linear("q", x, 8), k = b.linear("k", x, 4), v = b.linear("v", x, 4);
  const Value bias = b.node("permute", "by_head", {b.node("embedding", "bias", {ids}, {{"num_embeddings", 3}, {"dim", 4}})}, {{"dims", {0, 3, 1, 2}}});
  const Graph g = done(b, b.node("attention", "attend", {q, k, v, bias}, {{"heads", 4}, {"kv_heads", 2}}));
  const ChannelClasses all = channel_classes(g);
  CHECK(class_of(all, "bias.weight", 1, 3) == class_of(all, "q.weight", 0, 6));
  CHECK(class_of(all, "bias.weight", 1, 3) == class_of(all, "bias.weight", 1, 2));  // they read one head of k and v
  CHECK(!class_at(all, "bias.weight", 1, 0).frozen);
  const Graph small = without(g, "bias.weight", 1, {0});
  CHECK(small.tensor("bias.weight").shape == Shape{3, 2});
  CHECK(small.tensor("v.weight").shape == Shape{2, 6});
  CHECK(small.find_node("attend")->attrs["heads"] == 2);
}

TEST_CASE("rules: the mean over tokens and its norm keep the channels, and couple none") {
  Builder b;
  const Value mean = b.node("masked_mean", "mean", {tokens(b), b.input("mask", DType::kI64, {sym("N"), sym("S")})});
  const Graph g = done(b, b.node("l2_normalize", "norm", {mean}));
  const ChannelClasses all = channel_classes(g);
  CHECK(!class_at(all, "in.weight", 0, 2).coupled);
  CHECK(class_of(all, "in.weight", 0, 2) == class_of(all, "head.weight", 1, 2));
  CHECK(without(g, "in.weight", 0, {2, 7}).tensor("head.weight").shape == Shape{2, 6});
}

TEST_CASE("rules: an embedding tied to the output layer shares its features") {
  Builder b;
  Value x = b.node("embedding", "embed", {b.input("x", DType::kI64, {sym("N"), sym("S")})}, {{"num_embeddings", 11}, {"dim", 6}});
  x = b.node("linear", "out", {b.relu("relu", x)}, {{"out_features", 11}}, {{"weight", {"embed.weight"}}}, {"bias"});
  b.output("logits", x);
  const Graph g = b.finish();
  const Graph small = without(g, "embed.weight", 1, {0, 1});
  CHECK(small.tensor("embed.weight").shape == Shape{11, 4});
  CHECK(small.find_node("embed")->attrs["dim"] == 4);
  CHECK(class_at(channel_classes(g), "embed.weight", 0, 3).frozen);
}
