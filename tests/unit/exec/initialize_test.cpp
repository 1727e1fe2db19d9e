// Initialisers of any architecture, by what fresh nets have: variances, bounds, orthogonal rows, blocks that begin as the identity.
#include "base/graph/initialize.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/exec/executor.h"

using namespace ds;

namespace {

graph::Graph net() {
  graph::Builder b;
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 16, 4, 4});
  x = b.relu("start", x);
  x = b.add("block.add", b.batch_norm2d("bn", b.conv2d("conv", x, 16, 3, 1, 1)), x);
  x = b.conv2d("grouped", x, 64, 3, 1, 1, true, 4);
  b.output("y", b.linear("fc", b.flatten("flat", b.global_avg_pool("pool", x)), 200));
  return b.finish();
}

exec::Model fresh(const graph::WeightInit& init) {
  graph::Graph g = net();
  graph::initialize(g, init);
  graph::verify(g, "test");
  return exec::make_model(std::move(g), 3);
}

double deviation(const exec::Model& model, const std::string& name) {
  return model.tensors.at(name).to(at::kDouble).square().mean().sqrt().item<double>();
}

}  // namespace

TEST_CASE("initialize: deviations of every kind, by fan in and fan out") {
  struct Case {
    graph::WeightInit init;
    double conv, grouped, fc;  // fans: conv 144 both; grouped 36 in, 576 out as PyTorch counts; fc 64 in, 200 out
  };
  const double root2 = std::sqrt(2.0);
  const std::vector<Case> cases = {
      {{.kind = "kaiming-normal"}, root2 / 12, root2 / 6, root2 / 8},
      {{.kind = "kaiming-uniform", .fan = "out"}, root2 / 12, root2 / 24, root2 / std::sqrt(200.0)},
      {{.kind = "kaiming-uniform", .gain = 1}, 1.0 / 12, 1.0 / 6, 1.0 / 8},
      {{.kind = "xavier-normal"}, std::sqrt(2.0 / 288), std::sqrt(2.0 / 612), std::sqrt(2.0 / 264)},
      {{.kind = "xavier-uniform", .gain = 2}, 2 * std::sqrt(2.0 / 288), 2 * std::sqrt(2.0 / 612), 2 * std::sqrt(2.0 / 264)},
      {{.kind = "truncated-normal"}, 0.02 * 0.8796, 0.02 * 0.8796, 0.02 * 0.8796},  // a normal cut at two deviations has 0.8796 of its own
  };
  for (const Case& c : cases) {
    CAPTURE(c.init.kind);
    const exec::Model model = fresh(c.init);
    CHECK(deviation(model, "conv.weight") == doctest::Approx(c.conv).epsilon(0.06));
    CHECK(deviation(model, "grouped.weight") == doctest::Approx(c.grouped).epsilon(0.06));
    CHECK(deviation(model, "fc.weight") == doctest::Approx(c.fc).epsilon(0.06));
    if (c.init.kind.ends_with("uniform")) CHECK(model.tensors.at("fc.weight").abs().max().item<double>() <= std::sqrt(3.0) * c.fc * (1 + 1e-6));
    const exec::Model before = fresh({});
    for (const char* name : {"bn.weight", "bn.bias", "fc.bias"}) CHECK(model.tensors.at(name).equal(before.tensors.at(name)));
  }
}

TEST_CASE("initialize: orthogonal rows, or columns where there are fewer, of length gain") {
  const exec::Model model = fresh({.kind = "orthogonal", .gain = 1.5});
  const at::Tensor conv = model.tensors.at("conv.weight").flatten(1), fc = model.tensors.at("fc.weight");
  CHECK(conv.matmul(conv.t()).sub(at::eye(16).mul(2.25)).abs().max().item<double>() < 1e-5);
  CHECK(fc.t().matmul(fc).sub(at::eye(64).mul(2.25)).abs().max().item<double>() < 1e-5);
}

TEST_CASE("initialize: with its last norm at zero a residual block begins as the identity") {
  const auto difference = [](bool zero) {
    exec::Model model = fresh({.zero_last_norm = zero});
    const at::Tensor x = at::arange(1, 513, at::TensorOptions().dtype(at::kFloat)).sin().view({2, 16, 4, 4});
    return exec::Executor(model).run({x}, {}, {.fuse = false, .fetch = {"block.add"}}).at(1).sub(x.relu()).abs().max().item<double>();
  };
  CHECK(difference(true) == 0);
  CHECK(difference(false) > 0.1);
}

TEST_CASE("initialize: a net without such layers or norms is refused") {
  graph::Builder b;
  graph::Value x = b.input("x", io::DType::kF32, {graph::Dim::symbol("N"), 4});
  b.output("y", b.relu("relu", x));
  graph::Graph g = b.finish();
  CHECK_THROWS_AS(graph::initialize(g, {.kind = "orthogonal"}), Error);
  CHECK_THROWS_AS(graph::initialize(g, {.zero_last_norm = true}), Error);
}
