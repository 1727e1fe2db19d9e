#include "base/graph/passes.h"

#include <doctest/doctest.h>

#include <cmath>

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

/// conv (1 -> 2, 1 x 1) - bn - relu, with or without a bias.
Graph conv_bn(bool bias) {
  Builder b;
  Value x = b.conv2d("conv", b.input("image", DType::kF32, {Dim::symbol("N"), 1, 2, 2}), 2, 1, 1, 0, bias);
  b.output("y", b.relu("relu", b.node("batch_norm2d", "bn", {x}, {{"eps", 0.0}})));
  return b.finish();
}

Tensors values() {
  return {{"conv.weight", array({2, 1, 1, 1}, {3, 5})}, {"bn.weight", array({2}, {2, -1})},         {"bn.bias", array({2}, {0.5F, 1})},
          {"bn.running_mean", array({2}, {1, 2})},      {"bn.running_var", array({2}, {4, 0.25F})}, {"conv.bias", array({2}, {10, 20})}};
}

}  // namespace

TEST_CASE("passes: a batch norm folds into the convolution before it, by hand") {
  Tensors tensors = values();
  const Folded with = fold_batch_norm(conv_bn(true), tensors);
  // s = {2 / 2, -1 / 0.5} = {1, -2}
  CHECK(floats(with.tensors.at("conv.weight")) == std::vector<float>{3, -10});
  CHECK(floats(with.tensors.at("conv.bias")) == std::vector<float>{(10 - 1) * 1 + 0.5F, (20 - 2) * -2 + 1});
  CHECK(with.folded == std::vector<std::string>{"bn"});
  CHECK(with.graph.nodes.size() == 2);
  CHECK(with.graph.find_node("relu")->inputs[0] == "conv");
  CHECK(with.tensors.size() == 2);
  CHECK(floats(tensors.at("conv.weight")) == std::vector<float>{3, 5});  // what went in is untouched

  tensors.erase("conv.bias");
  const Folded without = fold_batch_norm(conv_bn(false), tensors);
  CHECK(floats(without.tensors.at("conv.bias")) == std::vector<float>{-1 * 1 + 0.5F, -2 * -2 + 1});
  CHECK(without.graph.tensors[1].name == "conv.bias");
  CHECK(without.graph.find_node("conv")->slots.count("bias") == 1);
}

TEST_CASE("passes: folding uses float64, and float types of 16 bits") {
  Tensors tensors = values();
  tensors["bn.running_var"] = array({2}, {1e-7F, 3});
  const Folded folded = fold_batch_norm(conv_bn(true), tensors);
  CHECK(floats(folded.tensors.at("conv.weight"))[0] == static_cast<float>(3.0 * (2.0 / std::sqrt(static_cast<double>(1e-7F)))));
  CHECK(floats(folded.tensors.at("conv.weight"))[1] == static_cast<float>(5.0 * (-1.0 / std::sqrt(3.0))));

  ds::io::Array half = ds::io::make_array(DType::kF16, {2, 1, 1, 1});
  half.as<std::uint16_t>()[0] = 0x4200;  // 3
  half.as<std::uint16_t>()[1] = 0x4500;  // 5
  tensors = values();
  tensors["conv.weight"] = half;
  Graph graph = conv_bn(true);
  graph.find_tensor("conv.weight")->dtype = DType::kF16;
  const Folded from_half = fold_batch_norm(graph, tensors);
  CHECK(floats(from_half.tensors.at("conv.weight")) == std::vector<float>{3, -10});
  CHECK(from_half.graph.tensor("conv.weight").dtype == DType::kF32);
}

TEST_CASE("passes: a linear layer before a batch norm folds too") {
  Builder b;
  const Value x = b.linear("fc", b.input("x", DType::kF32, {Dim::symbol("N"), 2}), 1);
  b.output("y", b.node("batch_norm2d", "bn", {x}, {{"eps", 1.0}}));
  const Tensors tensors = {{"fc.weight", array({1, 2}, {1, 2})}, {"fc.bias", array({1}, {4})},         {"bn.weight", array({1}, {6})},
                           {"bn.bias", array({1}, {-1})},        {"bn.running_mean", array({1}, {1})}, {"bn.running_var", array({1}, {3})}};
  const Folded folded = fold_batch_norm(b.finish(), tensors);
  CHECK(floats(folded.tensors.at("fc.weight")) == std::vector<float>{3, 6});
  CHECK(floats(folded.tensors.at("fc.bias")) == std::vector<float>{8});
  CHECK(folded.graph.outputs[0].value == "fc");
}

TEST_CASE("passes: a linear layer that stores its weight as [in, out] keeps its batch norm") {
  Builder b;
  const Value x = b.node("linear", "fc", {b.input("x", DType::kF32, {Dim::symbol("N"), 2})}, {{"out_features", 3}, {"transposed", true}});
  b.output("y", b.node("batch_norm2d", "bn", {x}));
  const Folded folded = fold_batch_norm(b.finish(), {});
  CHECK(folded.folded.empty());
  CHECK(folded.graph.find_node("bn") != nullptr);
}

TEST_CASE("passes: a batch norm that others need stays") {
  const auto folds = [](const std::function<Value(Builder&, const Value&, const Value&)>& rest) {
    Builder b;
    const Value conv = b.conv2d("conv", b.input("image", DType::kF32, {Dim::symbol("N"), 1, 2, 2}), 2, 1);
    const Value bn = b.batch_norm2d("bn", conv);
    b.output("y", rest(b, conv, bn));
    return fold_batch_norm(b.finish(), values()).folded.size();
  };
  CHECK(folds([](Builder& b, const Value&, const Value& bn) { return b.relu("relu", bn); }) == 1);
  CHECK(folds([](Builder& b, const Value& conv, const Value& bn) { return b.add("add", bn, conv); }) == 0);  // conv is read twice
  CHECK(folds([](Builder& b, const Value& conv, const Value& bn) {
          b.output("early", conv);
          return bn;
        }) == 0);
  CHECK(
      folds([](Builder& b, const Value&, const Value& bn) {  // a second layer with the same weights
        const Value again = b.node("conv2d", "again", {"image"}, {{"out_channels", 2}, {"kernel", {1, 1}}}, {{"weight", {"conv.weight"}}}, {"bias"});
        return b.add("add", bn, again);
      }) == 0);
  Tensors missing = values();
  missing.erase("bn.running_var");
  CHECK_THROWS_WITH_AS(fold_batch_norm(conv_bn(true), missing), "tensor 'bn.running_var': its values are missing", ds::Error);
}

TEST_CASE("passes: chains are found where each value has one user") {
  const Graph chain = nets::chain();
  CHECK(find_chain(chain, "conv1", {"conv2d", "batch_norm2d", "relu"}) == std::vector<std::string>{"conv1", "bn1", "relu1"});
  CHECK(find_chain(chain, "conv1", {"linear|conv2d"}) == std::vector<std::string>{"conv1"});
  CHECK(find_chain(chain, "conv1", {"conv2d", "relu"}).empty());
  CHECK(find_chain(chain, "conv9", {"conv2d"}).empty());
  CHECK(find_chain(nets::residual(), "a", {"conv2d", "relu"}).empty());
}

TEST_CASE("passes: dead nodes and tensors go") {
  Graph graph = nets::split();
  graph.outputs.pop_back();
  CHECK(remove_dead(graph) == std::set<std::string>{"right_head.bias", "right_head.weight"});
  CHECK(graph.find_node("right_head") == nullptr);
  verify(graph, "");
}

TEST_CASE("passes: dropout is set in every node of it, and asked for in vain where there is none") {
  Graph graph = nets::chain();
  CHECK_THROWS_WITH_AS(set_dropout(graph, 0.5), doctest::Contains("the model has no dropout layer"), ds::Error);
  CHECK_NOTHROW(set_dropout(graph, 0));
  Builder b;
  b.output("y", b.dropout("late", b.relu("relu", b.dropout("early", b.input("x", DType::kF32, {Dim::symbol("N"), 4}), 0.1)), 0.2));
  graph = b.finish();
  set_dropout(graph, -1);
  CHECK(graph.find_node("late")->attrs["p"] == 0.2);
  set_dropout(graph, 0.25);
  for (const char* name : {"early", "late"}) CHECK(graph.find_node(name)->attrs["p"] == 0.25);
  verify(graph, "");
}
