// Values by hand of what U-Net and Swin transformers need: transposed convolution, enlarging, padding, cyclic shifts, masks of windows, look-ups.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/windows.h"
#include "engine/exec/executor.h"
#include "engine/exec/init.h"

using namespace ds;

namespace {

std::vector<double> values(const at::Tensor& t) {
  const at::Tensor flat = t.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

exec::Model one(const std::string& op, std::vector<graph::Dim> dims, graph::Json attrs, const std::set<std::string>& without = {}) {
  graph::Builder b;
  b.output("y", b.node(op, "node", {b.input("x", graph::DType::kF32, std::move(dims))}, std::move(attrs), {}, without));
  return exec::make_model(b.finish(), 1);
}

/// The output on 1, 2, 3 ..., which must be the same in either memory format.
std::vector<double> counted(exec::Model model, const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  const at::Tensor x = at::arange(1, n + 1, at::TensorOptions().dtype(at::kFloat)).reshape(shape);
  const std::vector<double> plain = values(exec::Executor(model).run({x}, {}).at(0));
  CHECK(values(exec::Executor(model).run({x}, {}, {.channels_last = true}).at(0)) == plain);
  return plain;
}

using Values = std::vector<double>;

}  // namespace

TEST_CASE("exec: a transposed convolution adds a kernel for each pixel") {
  exec::Model model = one("conv_transpose2d", {1, 1, 1, 2}, {{"out_channels", 1}, {"kernel", {2, 2}}, {"stride", {1, 1}}}, {"bias"});
  model.tensors.at("node.weight").copy_(at::tensor({1.0, 10.0, 100.0, 1000.0}).reshape({1, 1, 2, 2}));
  CHECK(counted(std::move(model), {1, 1, 1, 2}) == Values{1, 12, 20, 100, 1200, 2000});  // 1 * kernel, and 2 * kernel one column on
  exec::Model wide = one("conv_transpose2d", {1, 1, 1, 2}, {{"out_channels", 1}, {"kernel", {1, 2}}, {"stride", {1, 2}}, {"output_padding", {0, 1}}}, {"bias"});
  wide.tensors.at("node.weight").copy_(at::tensor({1.0, 10.0}).reshape({1, 1, 1, 2}));
  CHECK(counted(std::move(wide), {1, 1, 1, 2}) == Values{1, 10, 2, 20, 0});
}

TEST_CASE("exec: enlarging repeats pixels, or goes in a line from one to the next") {
  CHECK(counted(one("upsample2d", {1, 1, 2, 2}, {{"scale", {1, 2}}}), {1, 1, 2, 2}) == Values{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(counted(one("upsample2d", {1, 1, 1, 2}, {{"scale", {1, 2}}, {"mode", "bilinear"}}), {1, 1, 1, 2}) == Values{1, 1.25, 1.75, 2});
  const Values corners = counted(one("upsample2d", {1, 1, 1, 2}, {{"scale", {1, 2}}, {"mode", "bilinear"}, {"align_corners", true}}), {1, 1, 1, 2});
  const double thirds[] = {1, 4 / 3.0, 5 / 3.0, 2};
  for (std::size_t i = 0; i < 4; ++i) CHECK(corners.at(i) == doctest::Approx(thirds[i]));
}

TEST_CASE("exec: padding and cyclic shifts of any axis") {
  CHECK(counted(one("pad", {1, 2, 1, 2}, {{"axes", {3, 1}}, {"before", {1, 0}}, {"after", {0, 1}}, {"value", 9}}), {1, 2, 1, 2}) ==
        Values{9, 1, 2, 9, 3, 4, 9, 9, 9});
  CHECK(counted(one("pad", {1, 2}, {{"axes", {-1}}, {"before", {0}}, {"after", {0}}}), {1, 2}) == Values{1, 2});
  CHECK(counted(one("roll", {1, 1, 2, 3}, {{"axes", {2, -1}}, {"shifts", {1, -1}}}), {1, 1, 2, 3}) == Values{5, 6, 4, 2, 3, 1});
}

TEST_CASE("exec: the mask of windows divides what a cyclic shift brought together") {
  // A side of 4 in windows of 2, shifted by 1: the parts of its pixels are 0 0 | 1 2. One row, so that only columns count.
  const std::vector<float> mask = graph::window_mask({1, 4}, {1, 2}, {0, 1}, -100);
  CHECK(mask == std::vector<float>{0, 0, 0, 0, 0, -100, -100, 0});
  CHECK(graph::window_mask({2, 4}, {2, 2}, {0, 0}, -5) == std::vector<float>(32, 0.0F));
  // Both sides: the last window has four parts of one pixel.
  const std::vector<float> both = graph::window_mask({2, 2}, {2, 2}, {1, 1}, -1);
  for (std::size_t i = 0; i < 16; ++i) CHECK(both[i] == (i % 5 == 0 ? 0.0F : -1.0F));
}

TEST_CASE("exec: gather takes the place of an axis by those of its indices") {
  graph::Builder b;
  const graph::Value x = b.input("x", graph::DType::kF32, {2, 3}), index = b.input("i", graph::DType::kI64, {2, 2});
  b.output("y", b.node("gather", "node", {x, index}, {{"axis", 1}}));
  exec::Model model = exec::make_model(b.finish(), 1);
  const at::Tensor in = at::arange(1, 7, at::TensorOptions().dtype(at::kFloat)).reshape({2, 3});
  const at::Tensor y = exec::Executor(model).run({in, at::tensor({2, 0, 1, 1}, at::TensorOptions().dtype(at::kLong)).reshape({2, 2})}, {}).at(0);
  CHECK(y.sizes().vec() == std::vector<std::int64_t>{2, 2, 2});
  CHECK(values(y) == Values{3, 1, 2, 2, 6, 4, 5, 5});
}

TEST_CASE("exec: clamp and exp by hand") {
  CHECK(counted(one("clamp", {4}, {{"min", 2}, {"max", 3}}), {4}) == Values{2, 2, 3, 3});
  CHECK(counted(one("exp", {2}, graph::Json::object()), {2}).at(1) == doctest::Approx(std::exp(2.0)));
}

TEST_CASE("init: constants of relative positions") {
  const auto made = [](const char* kind, const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
    at::Tensor t = at::empty(shape, at::TensorOptions().dtype(dtype));
    exec::initialise(t, {"t", exec::dtype_of(dtype), shape, graph::Role::kConstant, {{"kind", kind}}}, 1);
    return t;
  };
  // A window of 2x2: the row of the table is 3 * (dy + 1) + dx + 1 for the way from the second pixel to the first.
  CHECK(values(made("relative_index", {16}, at::kLong)) == Values{4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4});
  const Values coords = values(made("relative_coords", {1, 3, 3, 2}, at::kDouble));
  const double most = std::log2(9.0) / 3;
  CHECK(coords[0] == doctest::Approx(-most));
  CHECK(coords[1] == doctest::Approx(-most));
  CHECK(coords[8] == 0);
  CHECK(coords[10] == 0);
  CHECK(coords[11] == doctest::Approx(most));
  CHECK_THROWS_AS(made("relative_index", {15}, at::kLong), Error);
  CHECK_THROWS_AS(made("relative_coords", {1, 3, 2, 2}, at::kDouble), Error);
}
