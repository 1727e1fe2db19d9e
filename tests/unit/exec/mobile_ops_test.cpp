// Values by hand of the ops that nets for small devices need: clamped activations, reordered channels, padding that differs at opposite sides.
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include "base/graph/builder.h"
#include "engine/exec/executor.h"

using namespace ds;

namespace {

exec::Model one(const std::string& op, std::vector<graph::Dim> dims, graph::Json attrs = graph::Json::object(), const std::set<std::string>& without = {}) {
  graph::Builder b;
  b.output("y", b.node(op, "node", {b.input("x", graph::DType::kF32, std::move(dims))}, std::move(attrs), {}, without));
  return exec::make_model(b.finish(), 1);
}

std::vector<double> values(const at::Tensor& t) {
  const at::Tensor flat = t.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

std::vector<double> run(const std::string& op, const std::vector<double>& x) {
  exec::Model model = one(op, {static_cast<std::int64_t>(x.size())});
  return values(exec::Executor(model).run({at::tensor(x, at::TensorOptions().dtype(at::kDouble))}, {}).at(0));
}

}  // namespace

TEST_CASE("exec: clamped activations by hand") {
  CHECK(run("relu6", {-1, 0, 0.5, 6, 7.5}) == std::vector<double>{0, 0, 0.5, 6, 6});
  CHECK(run("hardsigmoid", {-4, -3, 0, 1.5, 3, 9}) == std::vector<double>{0, 0, 0.5, 0.75, 1, 1});
}

TEST_CASE("exec: reorder takes the elements that the order names, in either memory format, of any type") {
  exec::Model model = one("reorder", {graph::Dim::symbol("N"), 4, 2, 3}, {{"axis", 1}, {"order", {2, 0, 3, 1}}});
  const at::Tensor x = at::arange(48, at::TensorOptions().dtype(at::kFloat)).reshape({2, 4, 2, 3});
  for (const bool channels_last : {false, true}) {
    const at::Tensor y = exec::Executor(model).run({x}, {}, {.channels_last = channels_last}).at(0);
    CHECK(y.is_contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
    const std::int64_t order[] = {2, 0, 3, 1};
    for (std::int64_t c = 0; c < 4; ++c) CHECK(y.select(1, c).equal(x.select(1, order[c])));
  }
}

TEST_CASE("exec: padding of a convolution by sides") {
  exec::Model model = one("conv2d", {1, 1, 2, 2}, {{"out_channels", 1}, {"kernel", {2, 2}}, {"padding", {1, 0, 0, 2}}}, {"bias"});
  model.tensors.at("node.weight").copy_(at::tensor({1.0, 10.0, 100.0, 1000.0}).reshape({1, 1, 2, 2}));
  const at::Tensor x = at::tensor({1.0, 2.0, 3.0, 4.0}).reshape({1, 1, 2, 2});
  // 0 0 0 0
  // 1 2 0 0
  // 3 4 0 0
  const std::vector<double> expected{2100, 200, 0, 4321, 402, 0};
  for (const bool channels_last : {false, true}) {
    const at::Tensor y = exec::Executor(model).run({x.to(at::kFloat)}, {}, {.channels_last = channels_last}).at(0);
    CHECK(y.sizes().vec() == std::vector<std::int64_t>{1, 1, 2, 3});
    CHECK(values(y) == expected);
  }
}
