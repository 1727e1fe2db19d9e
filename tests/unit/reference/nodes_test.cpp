// Nodes of ONNX by values from the standard's own wording, worked out by hand; and that a comparison sees what differs.
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include "base/commands/onnx_outputs.h"
#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/exec/model.h"
#include "engine/reference/call.h"

using namespace ds;
using commands::OnnxNode;
using Ints = std::vector<std::int64_t>;
using Floats = std::vector<double>;

namespace {

at::Tensor floats(Floats values, Ints shape) { return at::tensor(values, at::kDouble).to(at::kFloat).reshape(shape); }
at::Tensor ints(Ints values, Ints shape) { return at::tensor(values, at::kLong).reshape(shape); }

/// Output 0 of one node, as float64.
Floats result(const std::string& op, std::map<std::string, commands::OnnxAttribute> attributes, std::vector<at::Tensor> inputs, std::int64_t opset = 17) {
  commands::OnnxNodes nodes;
  nodes.opset = opset;
  OnnxNode node{op, "", "node", {}, {"y"}, std::move(attributes)};
  for (std::size_t i = 0; i < inputs.size(); ++i) node.inputs.push_back(nodes.inputs.emplace_back("x" + std::to_string(i)));
  nodes.nodes.push_back(node);
  nodes.outputs = {"y"};
  const at::Tensor y = reference::run(nodes, inputs).at(0).to(at::kDouble).contiguous();
  return {y.const_data_ptr<double>(), y.const_data_ptr<double>() + y.numel()};
}

void near(const Floats& found, const Floats& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-6));
}

}  // namespace

TEST_CASE("reference: arithmetic of integers cuts towards zero, fmod has the sign of what is divided") {
  near(result("Div", {}, {ints({7, -7}, {2}), ints({2, 2}, {2})}), {3, -3});
  near(result("Mod", {{"fmod", std::int64_t{1}}}, {floats({-5}, {1}), floats({3}, {1})}), {-2});
  near(result("Mod", {}, {ints({-5}, {1}), ints({3}, {1})}), {1});
}

TEST_CASE("reference: softmax of old opsets is over all axes from axis 1 on") {
  const at::Tensor x = floats({0, 0, 0, 0}, {1, 2, 2});
  near(result("Softmax", {}, {x}, 11), {0.25, 0.25, 0.25, 0.25});
  near(result("Softmax", {}, {x}, 13), {0.5, 0.5, 0.5, 0.5});
}

TEST_CASE("reference: slices go backwards, places count from the end") {
  const at::Tensor x = floats({0, 1, 2, 3, 4}, {5});
  near(result("Slice", {}, {x, ints({-1}, {1}), ints({-9}, {1}), ints({0}, {1}), ints({-2}, {1})}), {4, 2, 0});
  near(result("Slice", {}, {x, ints({1}, {1}), ints({100}, {1}), ints({0}, {1}), ints({2}, {1})}), {1, 3});
  near(result("Gather", {}, {x, ints({-1, 0}, {2})}), {4, 0});
  near(result("GatherND", {{"batch_dims", std::int64_t{1}}}, {floats({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2}), ints({1, 0}, {2, 1})}), {3, 4, 5, 6});
}

TEST_CASE("reference: products with factors, pools with and without their padding") {
  near(result("Gemm", {{"alpha", 2.0}, {"beta", 3.0}, {"transA", std::int64_t{1}}}, {floats({1, 2}, {2, 1}), floats({3, 4}, {2, 1}), floats({1}, {1})}), {25});
  const at::Tensor x = floats({1, 2, 3, 4}, {1, 1, 2, 2});
  const std::map<std::string, commands::OnnxAttribute> window = {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 0}}};
  near(result("AveragePool", window, {x}), {1, 1.5, 2, 2.5});
  auto with = window;
  with["count_include_pad"] = std::int64_t{1};
  near(result("AveragePool", with, {x}), {0.25, 0.75, 1, 2.5});
  near(result("MaxPool", {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}}, {floats({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3})}),
       {5, 6, 8, 9});
}

TEST_CASE("reference: bytes round half to even and stay within their type") {
  const at::Tensor scale = floats({0.5}, {}), zero = ints({3}, {}).to(at::kByte);
  near(result("QuantizeLinear", {}, {floats({0.25, 0.75, 1.25, -9, 999}, {5}), scale, zero}), {3, 5, 5, 0, 255});
  near(result("DequantizeLinear", {{"axis", std::int64_t{0}}}, {ints({2, 2}, {2, 1}).to(at::kChar), floats({1, 0.5}, {2}), ints({0, 1}, {2}).to(at::kChar)}), {2, 0.5});
}

TEST_CASE("reference: a GRU's step by hand, and outputs of 0 behind a sequence's end") {
  // One unit, weights 0, bias of the update gate 0: h = 0.5 tanh(bn) + 0.5 h.
  const at::Tensor x = floats({0, 0}, {2, 1, 1}), w = floats({0, 0, 0}, {1, 3, 1}), b = floats({0, 0, 1, 0, 0, 0}, {1, 6});
  const double first = 0.5 * std::tanh(1.0);
  const std::map<std::string, commands::OnnxAttribute> attributes = {{"hidden_size", std::int64_t{1}}, {"linear_before_reset", std::int64_t{1}}};
  near(result("GRU", attributes, {x, w, w, b}), {first, first + 0.5 * first});
  near(result("GRU", attributes, {x, w, w, b, ints({1}, {1}).to(at::kInt)}), {first, 0});
}

TEST_CASE("reference: a node that is not run here is named, one that nothing needs is not asked for") {
  commands::OnnxNodes nodes;
  nodes.inputs = {"x"}, nodes.outputs = {"y"};
  nodes.nodes = {{"Relu", "", "last", {"z"}, {"y"}, {}}, {"Identity", "", "first", {"x"}, {"z"}, {}}, {"Det", "", "aside", {"x"}, {"w"}, {}}};
  CHECK(reference::run(nodes, {floats({-1}, {1})}).at(0).item<float>() == 0);
  nodes.nodes[1].op = "Det";
  try {
    reference::run(nodes, {floats({-1}, {1})});
    FAIL("a node without a function ran");
  } catch (const Error& e) {
    CHECK(e.where() == "node 'first' (Det)");
  }
}

TEST_CASE("reference: a comparison tells how far a graph is from nodes that say something else") {
  graph::Builder b;
  b.output("y", b.node("scale", "twice", {b.input("x", io::DType::kF32, {graph::Dim::symbol("N"), 3})}, {{"factor", 2.0}}));
  const graph::Graph graph = b.finish();
  io::Array factor = io::make_array(io::DType::kF32, {});
  commands::OnnxNodes nodes;
  nodes.inputs = {"x"}, nodes.outputs = {"y"};
  nodes.nodes = {{"Mul", "", "product", {"x", "factor"}, {"y"}, {}}};
  for (const auto& [by, expected] : {std::pair{2.0f, 0.0}, {2.5f, 0.25}}) {
    *factor.as<float>() = by;
    nodes.tensors["factor"] = factor;
    const std::map<std::string, io::Array> none;
    commands::OnnxOutputs found;
    commands::OnnxComparison comparison;
    comparison.nodes = &nodes, comparison.graph = &graph, comparison.tensors = &none, comparison.found = &found;
    core::Record record;
    core::body<core::Command>("command", "onnx-outputs")(comparison, record);
    CHECK(found.not_run.empty());
    if (expected == 0) CHECK(found.apart == 0);
    else CHECK(found.apart > expected * found.largest * 0.9);
    CHECK(found.largest > 1);
    CHECK(!found.rounds);
  }
}
