// Clipping, against the formulas of torch.nn.utils.clip_grad_norm_ and clip_grad_value_ and of Brock et al. 2021, arXiv:2102.06171, eq. 3.
#include "engine/train/clip.h"

#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <cmath>

using namespace ds;

namespace {

optim::Parameter parameter(const std::string& name, const at::Tensor& value, const at::Tensor& gradient) {
  optim::Parameter made;
  made.name = name;
  made.value = value.clone().requires_grad_(true);
  made.value.mutable_grad() = gradient.clone();
  return made;
}

double furthest(const at::Tensor& a, const at::Tensor& b) { return a.sub(b).abs().max().item<double>(); }

/// Gradients [3, 4; 0, 0] and [12]: of norm 13 together.
std::vector<optim::Parameter> three() {
  return {parameter("w", at::tensor({3.0, 4.0, 1.0, 0.0}).view({2, 2}), at::tensor({3.0, 4.0, 0.0, 0.0}).view({2, 2})),
          parameter("b", at::tensor({0.5}), at::tensor({12.0}))};
}

}  // namespace

TEST_CASE("clip: norm: all gradients by limit / (norm + 1e-6) where the norm is larger, else none") {
  auto parameters = three();
  const double norm = train::gradient_norm(parameters);
  CHECK(norm == doctest::Approx(13).epsilon(1e-12));
  train::clip(parameters, "norm", 6.5, norm);
  CHECK(furthest(parameters[0].value.grad(), at::tensor({3.0, 4.0, 0.0, 0.0}).view({2, 2}).mul(6.5 / 13.000001)) < 1e-12);
  CHECK(furthest(parameters[1].value.grad(), at::tensor({12 * 6.5 / 13.000001})) < 1e-12);
  parameters = three();
  train::clip(parameters, "norm", 13.5, 13);
  CHECK(parameters[1].value.grad().equal(at::tensor({12.0})));
}

TEST_CASE("clip: value: each number by itself") {
  auto parameters = three();
  parameters[1].value.mutable_grad().neg_();
  train::clip(parameters, "value", 3.5, 0);
  CHECK(parameters[0].value.grad().equal(at::tensor({3.0, 3.5, 0.0, 0.0}).view({2, 2})));
  CHECK(parameters[1].value.grad().equal(at::tensor({-3.5})));
}

TEST_CASE("clip: adaptive: each unit's gradient to a share of its weights' norm, which counts as 1e-3 at least") {
  auto parameters = three();
  train::clip(parameters, "adaptive", 0.1, 0);
  CHECK(furthest(parameters[0].value.grad(), at::tensor({0.3, 0.4, 0.0, 0.0}).view({2, 2})) < 1e-12);  // row 0: |w| = 5, |g| = 5
  CHECK(furthest(parameters[1].value.grad(), at::tensor({0.05})) < 1e-12);
  std::vector<optim::Parameter> fresh{parameter("w", at::tensor({0.0, 0.0}).view({1, 2}), at::tensor({3.0, 4.0}).view({1, 2}))};
  train::clip(fresh, "adaptive", 0.1, 0);
  CHECK(furthest(fresh[0].value.grad(), at::tensor({3.0, 4.0}).view({1, 2}).mul(1e-4 / 5)) < 1e-12);
}

TEST_CASE("clip: a parameter without a gradient is passed over") {
  auto parameters = three();
  parameters[0].value.mutable_grad().reset();
  CHECK(train::gradient_norm(parameters) == doctest::Approx(12));
  for (const char* mode : {"norm", "value", "adaptive"}) train::clip(parameters, mode, 1, 12);
  CHECK_FALSE(parameters[0].value.grad().defined());
}
