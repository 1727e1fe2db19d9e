#include "base/graph/channels.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "unit/graph/nets.h"

using namespace ds::graph;

namespace {

/// "conv1.weight/0:2 fc.weight/1:8,9", with what is special in front.
std::string text(const ChannelClass& entry) {
  std::string result = entry.frozen ? "frozen " : entry.coupled ? "coupled " : "";
  for (const auto& [key, indices] : entry.members) result += fmt::format("{}/{}:{} ", key.first, key.second, fmt::join(indices, ","));
  result.pop_back();
  return result;
}

/// Classes of the group that is named for its first tensor.
std::vector<std::string> group(const ChannelClasses& classes, const std::string& name, std::size_t nth = 0) {
  for (const ChannelGroup& entry : classes.groups) {
    if (entry.name != name || nth-- != 0) continue;
    std::vector<std::string> result;
    for (const int c : entry.classes) result.push_back(text(classes.classes[static_cast<std::size_t>(c)]));
    return result;
  }
  return {"no such group"};
}

using Texts = std::vector<std::string>;

/// An op of which nothing is known.
class Opaque : public Op {
 public:
  Opaque() {
    name = "test.opaque";
    summary = "for tests";
  }
  std::vector<SlotSpec> slots(const NodeView&) const override {
    return {SlotSpec{"scale", Role::kParameter, false, {4}, DType::kF32, {{"kind", "ones"}}}};
  }
  std::vector<ValueType> infer(const NodeView& view) const override { return {view.input()}; }
};
const OpRegistrar opaque{std::make_unique<Opaque>()};

/// An op whose rule joins lists of unequal length.
class Faulty : public Op {
 public:
  Faulty() {
    name = "test.faulty";
    summary = "for tests";
  }
  std::vector<ValueType> infer(const NodeView& view) const override { return {view.input()}; }
  void channels(ChannelRule& rule) const override { rule.unify(rule.input(0, 1), rule.fresh(3)); }
};
const OpRegistrar faulty{std::make_unique<Faulty>()};

}  // namespace

TEST_CASE("channels: a chain has a group for each layer") {
  const ChannelClasses classes = channel_classes(nets::chain());
  const auto member = [](int i) {
    return fmt::format(
        "bn1.bias/0:{0} bn1.running_mean/0:{0} bn1.running_var/0:{0} bn1.weight/0:{0} conv1.bias/0:{0} conv1.weight/0:{0} conv2.weight/1:{0}", i);
  };
  CHECK(group(classes, "conv1.weight", 0) == Texts{member(0), member(1), member(2), member(3)});
  CHECK(group(classes, "conv1.weight", 1) == Texts{"frozen conv1.weight/1:0", "frozen conv1.weight/1:1", "frozen conv1.weight/1:2"});
  CHECK(group(classes, "conv2.weight") == Texts{"frozen conv2.bias/0:0 conv2.weight/0:0", "frozen conv2.bias/0:1 conv2.weight/0:1"});
  CHECK(classes.groups.size() == 3);
  CHECK(classes.groups[0].elements == 27 + 1 + 4 + 2);
  CHECK_FALSE(classes.groups[0].frozen);
  CHECK(classes.groups[1].frozen);
  CHECK(classes.classes[static_cast<std::size_t>(classes.groups[1].classes[0])].reason == "graph input");
  CHECK(classes.classes[static_cast<std::size_t>(classes.groups[2].classes[0])].reason == "graph output");
  const std::vector<int>& relu = classes.values.at({"relu1", 1});
  CHECK(relu == classes.groups[0].classes);
  CHECK(classes.values.at({"image", 1}) == classes.groups[1].classes);
  CHECK(classes.values.count({"relu1", 2}) == 0);
  CHECK(classes.notes.empty());
}

TEST_CASE("channels: a residual sum joins both branches") {
  const ChannelClasses classes = channel_classes(nets::residual());
  CHECK(group(classes, "a.weight")[2] == "a.bias/0:2 a.weight/0:2 b.bias/0:2 b.weight/0:2 b.weight/1:2 head.weight/1:2");
}

TEST_CASE("channels: concat keeps its inputs apart") {
  const ChannelClasses classes = channel_classes(nets::concat());
  CHECK(group(classes, "a.weight") == Texts{"a.bias/0:0 a.weight/0:0 head.weight/1:0", "a.bias/0:1 a.weight/0:1 head.weight/1:1"});
  CHECK(group(classes, "b.weight") ==
        Texts{"b.bias/0:0 b.weight/0:0 head.weight/1:2", "b.bias/0:1 b.weight/0:1 head.weight/1:3", "b.bias/0:2 b.weight/0:2 head.weight/1:4"});
}

TEST_CASE("channels: concat(x, x) reads a channel at two places") {
  const ChannelClasses classes = channel_classes(nets::concat_twice());
  CHECK(group(classes, "a.weight") ==
        Texts{"a.bias/0:0 a.weight/0:0 head.weight/1:0,3", "a.bias/0:1 a.weight/0:1 head.weight/1:1,4", "a.bias/0:2 a.weight/0:2 head.weight/1:2,5"});
  const std::vector<int>& cat = classes.values.at({"cat", 1});
  CHECK(cat[1] == cat[4]);
}

TEST_CASE("channels: pieces of a split are groups of their own, with two outputs") {
  const ChannelClasses classes = channel_classes(nets::split());
  CHECK(group(classes, "a.weight", 0) == Texts{"a.bias/0:0 a.weight/0:0 left_head.weight/1:0", "a.bias/0:1 a.weight/0:1 left_head.weight/1:1"});
  CHECK(group(classes, "a.weight", 1)[2] == "a.bias/0:4 a.weight/0:4 right_head.weight/1:2");
  CHECK(group(classes, "left_head.weight")[0] == "frozen left_head.bias/0:0 left_head.weight/0:0");
  CHECK(group(classes, "right_head.weight")[1] == "frozen right_head.bias/0:1 right_head.weight/0:1");
}

TEST_CASE("channels: after flatten a channel is a block of features") {
  const ChannelClasses classes = channel_classes(nets::flatten());
  CHECK(group(classes, "conv.weight") == Texts{"conv.bias/0:0 conv.weight/0:0 fc.weight/1:0,1,2,3",
                                               "conv.bias/0:1 conv.weight/0:1 fc.weight/1:4,5,6,7",
                                               "conv.bias/0:2 conv.weight/0:2 fc.weight/1:8,9,10,11"});
}

TEST_CASE("channels: groups of a convolution lose the same positions") {
  const ChannelClasses classes = channel_classes(nets::grouped());
  CHECK(group(classes, "a.weight")[1] == "a.bias/0:1,4 a.weight/0:1,4 grouped.weight/1:1");
  CHECK(group(classes, "grouped.weight")[0] == "grouped.bias/0:0,2 grouped.weight/0:0,2 head.weight/1:0,2");
}

TEST_CASE("channels: depthwise filters go with their channel") {
  const ChannelClasses classes = channel_classes(nets::depthwise());
  CHECK(group(classes, "a.weight")[1] == "a.bias/0:1 a.weight/0:1 deep.weight/0:2,3 head.weight/1:2,3");
}

TEST_CASE("channels: tied tensors join what they are used for") {
  const ChannelClasses classes = channel_classes(nets::tied());
  CHECK(group(classes, "embed.weight", 0)[1] == "frozen embed.weight/0:1 head.bias/0:1");  // rows of the table are the logits
  CHECK(group(classes, "embed.weight", 1)[3] == "embed.weight/1:3 mix.bias/0:3 mix.weight/0:3 mix.weight/1:3");
}

TEST_CASE("channels: rows of a shared matrix belong to the slice that reads them") {
  const ChannelClasses classes = channel_classes(nets::sliced());
  CHECK(group(classes, "shared")[2] == "head.weight/1:2 shared/0:2");
  CHECK(group(classes, "shared")[5] == "head.weight/1:5 shared/0:5");
  CHECK(group(classes, "shared", 1)[0] == "frozen shared/1:0");
}

TEST_CASE("channels: an attention head goes as a whole") {
  const ChannelClasses classes = channel_classes(nets::heads());
  const Texts heads = group(classes, "in_proj_weight", 0);
  REQUIRE(heads.size() == 4);
  CHECK(heads[1] == "in_proj_bias/0:2,3,10,11,18,19 in_proj_weight/0:2,3,10,11,18,19 out_proj.weight/1:2,3");
  CHECK(group(classes, "embed.weight")[4] ==
        "embed.bias/0:4 embed.weight/0:4 head.weight/1:4 in_proj_weight/1:4 out_proj.bias/0:4 out_proj.weight/0:4");
  // Two heads of k and v, each for two of q.
  const Texts shared = group(channel_classes(nets::heads(2)), "in_proj_weight", 0);
  REQUIRE(shared.size() == 2);
  CHECK(shared[1] == "in_proj_bias/0:4,5,6,7,10,11,14,15 in_proj_weight/0:4,5,6,7,10,11,14,15 out_proj.weight/1:4,5,6,7");
}

TEST_CASE("channels: a norm over the channels couples them") {
  Builder b;
  Value x = b.linear("a", b.input("x", DType::kF32, {Dim::symbol("N"), 3}), 2);
  b.output("y", b.linear("head", b.layer_norm("norm", x), 2));
  CHECK(group(channel_classes(b.finish()), "a.weight")[1] == "coupled a.bias/0:1 a.weight/0:1 head.weight/1:1 norm.bias/0:1 norm.weight/0:1");
}

TEST_CASE("channels: an op without a rule freezes what it touches and is named") {
  Builder b;
  Value x = b.linear("a", b.input("x", DType::kF32, {Dim::symbol("N"), 3}), 4);
  x = b.linear("c", b.linear("b", b.node("test.opaque", "odd", {x}), 4), 4);
  b.output("y", b.linear("head", x, 2));
  const ChannelClasses classes = channel_classes(b.finish());
  CHECK(classes.notes == Texts{"layer 'odd' (op 'test.opaque') has no channel rule: frozen"});
  CHECK(group(classes, "a.weight")[0] == "frozen a.bias/0:0 a.weight/0:0");
  CHECK(group(classes, "odd.scale")[0] == "frozen odd.scale/0:0");
  CHECK(group(classes, "b.weight", 0)[0] == "b.bias/0:0 b.weight/0:0 c.weight/1:0");
  CHECK(group(classes, "b.weight", 1)[0] == "frozen b.weight/1:0");
  for (const ChannelClass& entry : classes.classes) {
    if (entry.members.count({"b.weight", 1})) CHECK(entry.reason == "meets an untracked axis at node 'b'");
    if (entry.members.count({"a.weight", 0})) CHECK(entry.reason == classes.notes[0]);
  }
}

TEST_CASE("channels: a faulty rule is an internal error that names the node") {
  Builder b;
  b.output("y", b.node("test.faulty", "bad", {b.input("x", DType::kF32, {Dim::symbol("N"), 4})}));
  const Graph graph = b.finish();
  CHECK_THROWS_WITH_AS(channel_classes(graph), "node 'bad' (test.faulty): its channel rule joins 4 channels with 3", ds::Error);
}

TEST_CASE("channels: classes, groups and values agree in every net") {
  for (const auto& [name, graph] : nets::all()) {
    INFO(name);
    const ChannelClasses classes = channel_classes(graph);
    std::size_t listed = 0;
    for (std::size_t g = 0; g < classes.groups.size(); ++g) {
      listed += classes.groups[g].classes.size();
      for (const int c : classes.groups[g].classes) CHECK(classes.classes[static_cast<std::size_t>(c)].group == static_cast<int>(g));
    }
    CHECK(listed == classes.classes.size());
    std::map<std::pair<std::string, int>, std::vector<int>> seen;
    for (const ChannelClass& entry : classes.classes) {
      for (const auto& [key, indices] : entry.members) {
        std::vector<int>& flags = seen[key];
        flags.resize(static_cast<std::size_t>(graph.tensor(key.first).shape[static_cast<std::size_t>(key.second)]));
        for (const std::int64_t i : indices) ++flags.at(static_cast<std::size_t>(i));
      }
    }
    for (const auto& [key, flags] : seen) CHECK(std::count(flags.begin(), flags.end(), 1) == static_cast<std::ptrdiff_t>(flags.size()));
  }
}
