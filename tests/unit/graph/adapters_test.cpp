#include "base/graph/adapters.h"

#include <doctest/doctest.h>

#include "base/core/error.h"
#include "unit/graph/nets.h"

using namespace ds::graph;
using Tensors = std::map<std::string, ds::io::Array>;

namespace {

ds::io::Array array(std::vector<std::int64_t> shape, const std::vector<float>& values) {
  ds::io::Array result = ds::io::make_array(DType::kF32, std::move(shape));
  std::copy(values.begin(), values.end(), result.as<float>());
  return result;
}

std::vector<float> floats(const ds::io::Array& a) { return {a.as<float>(), a.as<float>() + a.numel()}; }

/// [N, S, 2] - l (2 -> 2) - relu - head (2 -> 3)
Graph linears(bool transposed = false) {
  Builder b;
  const Value x = b.input("x", DType::kF32, {nets::sym("N"), nets::sym("S"), 2});
  const Value l = b.node("linear", "l", {x}, {{"out_features", 2}, {"transposed", transposed}});
  b.output("y", b.linear("head", b.relu("relu", l), 3));
  return b.finish();
}

void note(Graph& graph, const AdapterSite& site) {
  graph.meta["adapter"] = {{"kind", "lora"},
                           {"sites", {{{"base", site.base}, {"from", site.from_output ? "output" : "input"}, {"branch", site.branch}, {"add", site.add}}}}};
}

AdapterSite low_rank(Graph& graph, const std::string& layer, std::int64_t out, double factor) {
  AdapterPlace place(graph, layer, false);
  place.chain("dropout", "lora_dropout", {{"p", 0.5}}, false);
  place.chain("linear", "lora_A", {{"out_features", 1}}, false);
  place.chain("linear", "lora_B", {{"out_features", out}}, false, true);
  place.chain("scale", "lora_scale", {{"factor", factor}}, false);
  return place.close("lora");
}

Graph conv(std::int64_t groups) {
  Builder b;
  b.output("y", b.relu("relu", b.conv2d("c", b.input("image", DType::kF32, {Dim::symbol("N"), 2, 4, 4}), 2, 3, 1, 1, true, groups)));
  return b.finish();
}

}  // namespace

TEST_CASE("adapters: a chain beside a layer, its users read the sum") {
  Graph graph = linears();
  const AdapterSite site = low_rank(graph, "l", 2, 3);
  verify(graph, "test");
  CHECK(site.add == "l.lora");
  CHECK(site.branch == std::vector<std::string>{"l.lora_dropout", "l.lora_A", "l.lora_B", "l.lora_scale"});
  CHECK(graph.find_node("l.lora")->inputs == std::vector<std::string>{"l", "l.lora_scale"});
  CHECK(graph.find_node("relu")->inputs == std::vector<std::string>{"l.lora"});
  CHECK(graph.find_node("l.lora_dropout")->inputs == std::vector<std::string>{"x"});
  CHECK(graph.tensor("l.lora_A.weight").shape == std::vector<std::int64_t>{1, 2});
  CHECK(graph.tensor("l.lora_B.weight").init.at("kind") == "zeros");  // so that the net begins as its base
  CHECK_THROWS_AS(low_rank(graph, "l", 2, 3), ds::Error);             // names are taken
}

TEST_CASE("adapters: two linear layers are merged into the weight, by hand") {
  for (const bool transposed : {false, true}) {
    Graph graph = linears(transposed);
    const AdapterSite site = low_rank(graph, "l", 2, 3);
    note(graph, site);
    Tensors tensors{{"l.weight", array({2, 2}, {1, 2, 3, 4})}, {"l.bias", array({2}, {5, 6})},      {"l.lora_A.weight", array({1, 2}, {1, -1})},
                    {"l.lora_B.weight", array({2, 1}, {2, 0.5F})}, {"head.weight", array({3, 2}, {})}, {"head.bias", array({3}, {})}};
    const ds::io::Array before = tensors.at("l.weight");
    CHECK(merge_adapters(graph, tensors) == std::vector<std::string>{"l"});
    // 3 B A = {{6, -6}, {1.5, -1.5}}
    CHECK(floats(tensors.at("l.weight")) == (transposed ? std::vector<float>{7, 3.5F, -3, 2.5F} : std::vector<float>{7, -4, 4.5F, 2.5F}));
    CHECK(floats(tensors.at("l.bias")) == std::vector<float>{5, 6});
    CHECK(floats(before) == std::vector<float>{1, 2, 3, 4});  // what it was made of may be a mapped file
    CHECK(tensors.size() == 4);
    CHECK(graph.nodes.size() == 3);
    CHECK_FALSE(graph.meta.contains("adapter"));
  }
}

TEST_CASE("adapters: 1x1 convolutions beside one are its middle tap, behind it a product") {
  for (const bool series : {false, true}) {
    Graph graph = conv(1);
    AdapterPlace place(graph, "c", series);
    place.chain("conv2d", "adapter_conv", {{"out_channels", 2}, {"kernel", {1, 1}}}, false, true);
    note(graph, place.close("adapter"));
    std::vector<float> w(36);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i);
    Tensors tensors{{"c.weight", array({2, 2, 3, 3}, w)}, {"c.bias", array({2}, {1, 2})}, {"c.adapter_conv.weight", array({2, 2, 1, 1}, {10, 20, 30, 40})}};
    CHECK(merge_adapters(graph, tensors) == std::vector<std::string>{"c"});
    const std::vector<float> merged = floats(tensors.at("c.weight"));
    for (std::size_t o = 0; o < 2; ++o)
      for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t tap = 0; tap < 9; ++tap) {
          const std::size_t at = (o * 2 + i) * 9 + tap;
          const float m[2][2] = {{10, 20}, {30, 40}};
          const float want = series ? w[at] + m[o][0] * w[i * 9 + tap] + m[o][1] * w[(2 + i) * 9 + tap] : w[at] + (tap == 4 ? m[o][i] : 0);
          CHECK(merged[at] == want);
        }
    CHECK(floats(tensors.at("c.bias")) == (series ? std::vector<float>{1 + 10 * 1 + 20 * 2, 2 + 30 * 1 + 40 * 2} : std::vector<float>{1, 2}));
  }
}

TEST_CASE("adapters: what is not linear, or meets a grouped convolution, stays as layers") {
  Graph graph = linears();
  AdapterPlace place(graph, "l", true);
  place.chain("linear", "adapter_down", {{"out_features", 1}}, true);
  place.chain("relu", "adapter_act", Json::object(), false);
  place.chain("linear", "adapter_up", {{"out_features", 2}}, true, true);
  note(graph, place.close("adapter"));
  const std::size_t nodes = graph.nodes.size();
  Tensors tensors;
  for (const TensorSpec& spec : graph.tensors) tensors[spec.name] = ds::io::make_array(DType::kF32, spec.shape);
  CHECK(merge_adapters(graph, tensors).empty());
  CHECK(graph.nodes.size() == nodes);
  CHECK(graph.meta["adapter"]["sites"].size() == 1);

  Graph grouped = conv(2);
  AdapterPlace beside(grouped, "c", false);
  beside.chain("conv2d", "adapter_conv", {{"out_channels", 2}, {"kernel", {1, 1}}}, false, true);
  note(grouped, beside.close("adapter"));
  CHECK(merge_adapters(grouped, tensors).empty());
}

TEST_CASE("adapters: targets by pattern, the last ones, and what is told of those that fit none") {
  const Graph graph = linears();
  AdapterOptions options;
  const auto all = [](const Node&) { return true; };
  CHECK(head_of(graph) == "head");
  CHECK(adapter_targets(graph, options, {"linear"}, all, "lora") == std::vector<std::string>{"l"});  // the head is trained itself
  options.targets = {"*"};
  CHECK(adapter_targets(graph, options, {"linear"}, all, "lora") == std::vector<std::string>{"l", "head"});
  options.last = 1;
  CHECK(adapter_targets(graph, options, {"linear"}, all, "lora") == std::vector<std::string>{"head"});
  options.targets = {"l", "query*"};
  CHECK_THROWS_WITH(adapter_targets(graph, options, {"linear"}, all, "lora"), doctest::Contains("named 'query*'"));
  options.targets = {};
  CHECK_THROWS_WITH(adapter_targets(graph, options, {"conv2d"}, all, "conv1x1"), doctest::Contains("no layer that conv1x1 is made for"));
}

TEST_CASE("adapters: what training costs, by hand") {
  const Graph graph = linears();  // for S = 1: l 4, head 6 multiply-accumulates
  const auto cost = [&](const std::set<std::string>& trained) { return training_cost(graph, trained, {{"N", 1}, {"S", 1}}); };
  const TrainingCost full = cost({"l.weight", "l.bias", "head.weight", "head.bias"});
  CHECK(full.forward == 10);
  CHECK(full.backward_weights == 10);
  CHECK(full.backward_values == 6);  // the first layer's input has no gradient
  const TrainingCost head = cost({"head.weight"});
  CHECK(head.total() == 10 + 6);
  CHECK(head.frozen_forward == 4);
  CHECK(frozen_prefix(graph, {"head.weight"}) == std::set<std::string>{"l", "relu"});
  CHECK(cost({"l.bias"}).total() == 10 + 6 + 4);
}

TEST_CASE("adapters: a file of adapters is no model") {
  Graph graph = linears();
  CHECK(adapter_base(to_json(graph)).digest.empty());
  refuse_adapter(to_json(graph), "a.h5");
  graph.meta["adapter"] = {{"base", {{"digest", "0123456789abcdef"}, {"file", "base.h5"}}}};
  CHECK(adapter_base(to_json(graph)).file == "base.h5");
  CHECK_THROWS_WITH(refuse_adapter(to_json(graph), "a.h5"), doctest::Contains("is an adapter without its base 0123456789ab (base.h5)"));
}
