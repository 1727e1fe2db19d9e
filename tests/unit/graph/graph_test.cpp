#include "base/graph/graph.h"

#include <doctest/doctest.h>

#include <functional>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/schema.h"

using namespace ds::graph;
using ds::Error;

namespace {

Dim sym(const char* name) { return Dim::symbol(name); }

/// conv(3 -> 4, 3x3, no bias) - bn - relu - conv(4 -> 4) + identity - pool - flatten - fc(4 -> 10)
Graph small_net() {
  Builder b;
  Value x = b.input("image", DType::kF32, {sym("N"), 3, 8, 8});
  x = b.relu("relu1", b.batch_norm2d("bn1", b.conv2d("conv1", x, 4, 3, 1, 1, false)));
  x = b.add("add", b.conv2d("conv2", x, 4, 3, 1, 1), x);
  x = b.linear("fc", b.flatten("flat", b.global_avg_pool("pool", x)), 10);
  b.output("logits", x);
  return b.finish({{"arch", "small"}});
}

/// Tied and sliced tensors, a free one, several outputs of a node, attributes of all kinds.
Graph odd_net() {
  Builder b;
  Value x = b.input("tokens", DType::kF32, {sym("N"), sym("S"), 8});
  b.tensor({"in_proj_weight", DType::kF32, {24, 8}, Role::kParameter, {{"kind", "xavier_uniform"}, {"fan_in", 8}, {"fan_out", 24}}});
  b.tensor({"pos", DType::kF32, {1, 1, 8}, Role::kParameter, {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.02}}});
  x = b.add("embed", x, b.node("tensor", "position", {}, Json::object(), {{"value", {"pos"}}}));
  std::vector<Value> qkv;
  for (int i = 0; i < 3; ++i) {
    qkv.push_back(b.node("linear", std::string("proj_") + "qkv" [i], { x }, {{"out_features", 8}},
                         {{"weight", {"in_proj_weight", 0, 8 * i, 8 * i + 8}}}, {"bias"}));
  }
  x = b.node("attention", "attend", qkv, {{"heads", 2}});
  b.tensor({"tied.bias", DType::kF32, {8}, Role::kParameter, {{"kind", "zeros"}}});
  x = b.node("linear", "tied", {x}, {{"out_features", 8}}, {{"weight", {"in_proj_weight", 0, 0, 8}}});
  x = b.dropout("drop", b.layer_norm("norm", x, 1e-6), 1.0);
  x = b.node("split", "parts", {x}, {{"axis", -1}, {"sizes", {3, 5}}});
  b.output("first", x);
  b.output("second", Builder::output_of(x, 1));
  return b.finish();
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    CHECK(e.code() == ds::Exit::kInput);
    return e.what();
  }
  return "no error";
}

/// The verifier's message after a change of the small net.
std::string broken(const std::function<void(Graph&)>& change) {
  Graph graph = small_net();
  change(graph);
  return error_of([&] { verify(graph, "net.h5"); });
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

#define CHECK_HAS(text, part)       \
  do {                              \
    const std::string shown = text; \
    INFO(shown);                    \
    CHECK(has(shown, part));        \
  } while (false)

}  // namespace

TEST_CASE("graph: the builder makes tensors in the order of the schema") {
  const Graph graph = small_net();
  std::vector<std::string> names;
  for (const TensorSpec& spec : graph.tensors) names.push_back(spec.name);
  CHECK(names == std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "conv2.weight",
                                          "conv2.bias", "fc.weight", "fc.bias"});
  CHECK(graph.tensor("conv1.weight").shape == std::vector<std::int64_t>{4, 3, 3, 3});
  CHECK(graph.tensor("bn1.running_var").role == Role::kBuffer);
  CHECK(graph.producer("conv2")->op == "conv2d");
  CHECK(graph.producer("image") == nullptr);
  CHECK(graph.users("relu1").size() == 2);
  CHECK_THROWS_WITH_AS(graph.tensor("conv1.weigth"), doctest::Contains("did you mean 'conv1.weight'"), Error);
}

TEST_CASE("graph: types follow symbols through the net") {
  Builder b;
  Value x = b.input("image", DType::kF32, {sym("N"), 3, sym("H"), sym("W")});
  x = b.max_pool2d("pool", b.conv2d("conv", x, 16, 7, 2, 3), 3, 2, 1);
  CHECK(type_text(b.type("conv")) == "float32[N, 16, floor((H+1)/2), floor((W+1)/2)]");
  CHECK(type_text(b.type("pool")) == "float32[N, 16, floor((H+3)/4), floor((W+3)/4)]");
  b.output("features", x);
  const Graph graph = b.finish();
  CHECK(infer_types(graph).at("pool").dims[2].evaluate({{"H", 224}}) == 56);
  const auto odd = infer_types(odd_net());
  CHECK(type_text(odd.at("parts")) == "float32[N, S, 3]");
  CHECK(type_text(odd.at("parts:1")) == "float32[N, S, 5]");
}

TEST_CASE("graph: cost of a small net, counted by hand") {
  const Graph graph = small_net();
  const Cost one = cost(graph);
  CHECK(one.macs == 64 * 4 * 27 + 64 * 4 * 36 + 40);
  CHECK(one.parameters == 108 + 8 + 144 + 4 + 40 + 10);
  CHECK(one.tensor_bytes == 4 * (108 + 16 + 144 + 4 + 40 + 10));
  // image, conv1, bn1, relu1, conv2, add, pool, flat, fc
  CHECK(one.activation_bytes == 4 * (192 + 256 * 5 + 4 + 4 + 10));
  CHECK(cost(graph, {{"N", 3}}).macs == 3 * one.macs);
  const auto nodes = node_costs(graph);
  CHECK(nodes[0].first == "conv1");
  CHECK(nodes[0].second.macs == 64 * 4 * 27);
  CHECK(nodes[1].second.parameters == 8);
  CHECK(nodes[1].second.tensor_bytes == 64);
  // Tied rows count once in the whole, in each node that reads them.
  CHECK(cost(odd_net(), {{"N", 1}, {"S", 5}}).parameters == 8 + 192 + 8 + 16);
  // What is not stated is one sample, and a sequence of the usual length.
  CHECK(bind_all(odd_net()) == Bindings{{"N", 1}, {"S", 128}});
  CHECK(bind_all(odd_net(), {{"S", 5}}) == Bindings{{"N", 1}, {"S", 5}});
  CHECK(cost(odd_net()).macs == cost(odd_net(), {{"N", 1}, {"S", 128}}).macs);
  CHECK(cost(odd_net()).macs != cost(odd_net(), {{"S", 5}}).macs);
}

TEST_CASE("graph: JSON and YAML forms read back") {
  for (const Graph& graph : {small_net(), odd_net()}) {
    const Json json = to_json(graph);
    const Graph back = from_json(json, "net.h5");
    verify(back, "net.h5");
    CHECK(to_json(back).dump() == json.dump());
    const std::string yaml = to_yaml(graph);
    INFO(yaml);
    const Graph read = from_yaml(yaml, "net.yaml");
    CHECK(to_json(read).dump() == json.dump());
    CHECK(to_yaml(read) == yaml);
  }
}

TEST_CASE("graph: the JSON form states every attribute, in the type of the schema") {
  Builder b;
  b.output("y", b.dropout("drop", b.input("x", DType::kF32, {sym("N"), 4}), 0));
  Graph graph = b.finish();
  graph.nodes[0].attrs["p"] = 0;  // an integer, as YAML might give it
  CHECK(to_json(graph)["nodes"][0]["attrs"].dump() == R"({"p":0.0})");
  CHECK(to_json(small_net())["nodes"][0]["attrs"]["groups"] == 1);
}

TEST_CASE("graph: the YAML form leaves defaults out") {
  const std::string yaml = to_yaml(small_net());
  INFO(yaml);
  CHECK(has(yaml, "  - {name: conv1, op: conv2d, attrs: {out_channels: 4, kernel: [3, 3], padding: [1, 1]}, slots: {bias: ~}}\n"));
  CHECK(has(yaml, "  - {name: relu1, op: relu}\n"));
  CHECK(has(yaml, "  - {name: add, op: add, inputs: [conv2, relu1]}\n"));
  CHECK_FALSE(has(yaml, "tensors:"));
  const Graph written = from_yaml(
      "inputs: [{name: x, dims: [N, 6]}]\n"
      "nodes:\n"
      "  - {name: fc, op: linear, attrs: {out_features: 4}}\n"
      "  - name: act\n"
      "    op: relu\n"
      "outputs: [{name: y, value: act}]\n",
      "mlp.yaml");
  CHECK(written.tensor("fc.weight").shape == std::vector<std::int64_t>{4, 6});
}

TEST_CASE("graph: YAML that does not fit is refused with its place") {
  const auto error = [](const std::string& text) { return error_of([&] { from_yaml(text, "net.yaml"); }); };
  const std::string head = "inputs: [{name: x, dims: [N, 6]}]\noutputs: [{name: y, value: fc}]\nnodes:\n";
  CHECK_HAS(error(head + "  - {name: fc, op: liner, attrs: {out_features: 4}}\n"), "net.yaml:4: node 'fc'");
  CHECK_HAS(error(head + "  - {name: fc, op: liner, attrs: {out_features: 4}}\n"), "did you mean 'linear'");
  CHECK_HAS(error(head + "  - {name: fc, op: linear, attr: {out_features: 4}}\n"), "unknown key 'attr'; did you mean 'attrs'");
  CHECK_HAS(error(head + "  - {name: fc, op: linear}\n"), "attribute 'out_features' is missing");
  CHECK_HAS(error(head + "  - {name: fc, op: linear, attrs: {out_features: 4}, slots: {weight: ~}}\n"), "no optional slot 'weight'");
  CHECK_HAS(error(head + "  - {name: fc, op: linear, name: fd}\n"), "duplicate key 'name'");
  CHECK_HAS(error("[1, 2]"), "expected a mapping");
  CHECK_HAS(error(""), "expected a mapping");
  CHECK_HAS(error("{"), "net.yaml:");
  CHECK_HAS(error("inputs: 3\nnodes: 4\noutputs: x"), "'inputs' is number, expected a list");
}

TEST_CASE("graph: JSON that is malformed is refused with its place") {
  const auto error = [](const std::function<void(Json&)>& change) {
    Json json = to_json(small_net());
    change(json);
    return error_of([&] { from_json(json, "net.h5"); });
  };
  CHECK_HAS(error([](Json& j) { j = 3; }), "expected an object");
  CHECK_HAS(error([](Json& j) { j.erase("nodes"); }), "key 'nodes' is missing");
  CHECK_HAS(error([](Json& j) { j["extra"] = 1; }), "unknown key 'extra'");
  CHECK_HAS(error([](Json& j) { j["nodes"][0]["opp"] = 1; }), "net.h5: nodes[0] 'conv1': unknown key 'opp'; did you mean 'op'");
  CHECK_HAS(error([](Json& j) { j["nodes"][0]["op"] = 1; }), "'op' is number, expected a string");
  CHECK_HAS(error([](Json& j) { j["nodes"][0]["inputs"] = {1}; }), "expected the name of a value");
  CHECK_HAS(error([](Json& j) { j["nodes"][0]["outputs"] = 0; }), "0 outputs");
  CHECK_HAS(error([](Json& j) { j["nodes"][0]["slots"]["weight"] = {{"tensor", "conv1.weight"}}; }), "slot 'weight': key 'begin' is missing");
  CHECK_HAS(error([](Json& j) {
              j["nodes"][0]["slots"]["weight"] = {{"tensor", "conv1.weight"}, {"axis", 0}, {"begin", 2}, {"end", 2}};
            }),
            "begin < end");
  CHECK_HAS(error([](Json& j) { j["tensors"][0]["dtype"] = "float31"; }), "unknown dtype 'float31'");
  CHECK_HAS(error([](Json& j) { j["tensors"][0]["shape"] = {1.5}; }), "expected an integer");
  CHECK_HAS(error([](Json& j) { j["tensors"][0]["shape"] = {18446744073709551615ULL}; }), "expected an integer");
  CHECK_HAS(error([](Json& j) { j["tensors"][0]["role"] = "weights"; }), "role 'weights'");
  CHECK_HAS(error([](Json& j) { j["inputs"][0]["dims"] = {"N+"}; }), "inputs[0] 'image': size 'N+'");
}

TEST_CASE("graph: the verifier names what is wrong and where") {
  CHECK_HAS(broken([](Graph&) {}), "no error");
  CHECK_HAS(broken([](Graph& g) { g.nodes[1].name = "conv1"; }), "net.h5: node 'conv1' (batch_norm2d): its name is taken");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].name = "image"; }), "node 'image' (conv2d): its name is taken");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].name = "a:1"; }), "not a valid name");
  CHECK_HAS(broken([](Graph& g) { g.nodes[2].op = "rellu"; }), "node 'relu1': unknown op 'rellu'; did you mean 'relu'");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].inputs = {"imag"}; }),
            "node 'conv1' (conv2d): reads 'imag', which no input or node makes; did you mean 'image'");
  CHECK_HAS(broken([](Graph& g) { std::swap(g.nodes[1], g.nodes[2]); }), "node 'relu1' (relu): reads 'bn1' before it is made");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].inputs = {"image", "image"}; }), "node 'conv1' (conv2d): has 2 inputs, expected 1");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs["strides"] = 1; }), "unknown attribute 'strides'; did you mean 'stride'");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs["groups"] = "one"; }), "attribute 'groups' is \"one\", expected an integer");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs["groups"] = 0; }), "attribute 'groups' is 0, expected a number from 1 to");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs["kernel"] = {3, 0}; }), "attribute 'kernel' is 0");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs.erase("kernel"); }), "attribute 'kernel' is missing");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].attrs = 3; }), "attributes are not a mapping");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].slots.erase("weight"); }), "slot 'weight' is missing");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].slots["wait"] = {"fc.bias"}; }), "unknown slot 'wait'");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].slots["weight"].tensor = "nothing"; }), "tensor 'nothing', which is not in the table");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].slots["weight"] = {"conv1.weight", 0, 0, 9}; }), "[0:9] of axis 0");
  CHECK_HAS(broken([](Graph& g) { g.tensors[0].shape = {4, 3, 3, 2}; }), "has shape [4, 3, 3, 2], expected [4, 3, 3, 3]");
  CHECK_HAS(broken([](Graph& g) { g.tensors[0].dtype = DType::kI8; }), "tensor 'conv1.weight' is int8, expected float32");
  CHECK_HAS(broken([](Graph& g) { g.tensors[0].shape = {4, 0, 3, 3}; }), "tensor 'conv1.weight': has shape [4, 0, 3, 3]: a size below 1");
  CHECK_HAS(broken([](Graph& g) { g.tensors[0].shape = {1 << 30, 1 << 30, 1 << 30}; }), "more than 2^44 elements");
  CHECK_HAS(broken([](Graph& g) { g.tensors.push_back(g.tensors[0]); }), "in the table twice");
  CHECK_HAS(broken([](Graph& g) { g.tensors.push_back({"spare", DType::kF32, {2}, Role::kBuffer, {}}); }), "tensor 'spare': no node uses it");
  CHECK_HAS(broken([](Graph& g) { g.tensors[0].init = 3; }), "expected an object with a 'kind'");
  CHECK_HAS(broken([](Graph& g) { g.outputs[0].value = "fd"; }), "output 'logits': is 'fd'");
  CHECK_HAS(broken([](Graph& g) { g.outputs.clear(); }), "the graph has no output");
  CHECK_HAS(broken([](Graph& g) { g.outputs.push_back(g.outputs[0]); }), "output 'logits': its name is taken");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].outputs = 2; }), "states 2 outputs, its op makes 1");
  CHECK_HAS(broken([](Graph& g) { g.inputs[0].type.dims[2] = 0; }), "input 'image': is float32[N, 3, 0, 8]: a size below 1");
  CHECK_HAS(broken([](Graph& g) { g.inputs[0].type.dims[1] = 4; }), "node 'conv1' (conv2d)");
  CHECK_HAS(broken([](Graph& g) { g.nodes[0].placement = 3; }), "its placement is not a mapping");
}

TEST_CASE("graph: the builder refuses what does not fit at once") {
  Builder b;
  Value x = b.input("x", DType::kF32, {sym("N"), 3, 4, 4});
  CHECK_HAS(error_of([&] { b.conv2d("conv", x, 4, 7); }), "node 'conv' (conv2d)");
  CHECK_HAS(error_of([&] { b.linear("fc", "y", 4); }), "reads 'y'");
  CHECK_HAS(error_of([&] { b.relu("x", x); }), "its name is taken");
  CHECK_HAS(error_of([&] { b.node("relu", "act", {x}, Json::object(), {}, {"bias"}); }), "no optional slot 'bias'");
}

TEST_CASE("graph: the registry of ops is sorted and has no op twice") {
  const auto all = ops();
  REQUIRE(all.size() > 20);
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1]->name < all[i]->name);
  CHECK_THROWS_WITH_AS(op("conv2", "here"), doctest::Contains("here: unknown op 'conv2'; did you mean 'conv2d'"), Error);
  for (const Op* entry : all) {
    INFO(entry->name);
    CHECK_FALSE(entry->summary.empty());
    for (const AttrSpec& spec : entry->attrs) {
      if (!spec.default_value.is_number()) continue;
      CHECK(spec.default_value.get<double>() >= spec.min);
      CHECK(spec.default_value.get<double>() <= spec.max);
    }
  }
}
