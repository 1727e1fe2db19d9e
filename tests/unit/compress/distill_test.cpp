#include <doctest/doctest.h>

#include <ATen/ops/cross_entropy_loss.h>

#include "engine/compress/distill/distiller.h"
#include "unit/compress/support.h"

using namespace ds;

namespace {

at::Tensor row(std::vector<double> values) {
  io::Array a = io::make_array(io::DType::kF64, {1, std::int64_t(values.size())});
  std::copy(values.begin(), values.end(), a.as<double>());
  return exec::to_tensor(a).clone();
}

double scalar(const at::Tensor& t) { return t.item<double>(); }

}  // namespace

TEST_CASE("distill: the loss by hand") {
  // T = 2: teacher softmax([1, 0]), student softmax([0, 0]) = [1/2, 1/2].
  const double p = 1 / (1 + std::exp(-1.0)), q = 1 - p;
  const double kl = p * std::log(p / 0.5) + q * std::log(q / 0.5);
  const at::Tensor student = row({0, 0}), teacher = row({2, 0}), hard = row({0.8}).sum();
  CHECK(scalar(compress::soft_target_loss(student, teacher, hard, 2, 0.7)) == doctest::Approx(0.7 * 4 * kl + 0.3 * 0.8).epsilon(1e-12));
  CHECK(scalar(compress::soft_target_loss(student, teacher, hard, 2, 0)) == doctest::Approx(0.8));
  CHECK(scalar(compress::soft_target_loss(teacher, teacher, hard, 3, 1)) == doctest::Approx(0).epsilon(1e-12));
}

TEST_CASE("distill: the gradient is T * weight * (softmax(s / T) - softmax(t / T)), mean over the batch") {
  at::Tensor student = row({0.3, -1.2, 0.5}).requires_grad_(true);
  const at::Tensor teacher = row({1.0, 0.2, -0.7}), zero = row({0}).sum();
  const double T = 3, weight = 0.6;
  compress::soft_target_loss(student, teacher, zero, T, weight).backward();
  const at::Tensor expected = student.detach().div(T).softmax(1).sub(teacher.div(T).softmax(1)).mul(T * weight);
  CHECK(test::largest_difference(student.grad(), expected) < 1e-12);
  // and against finite differences
  for (std::int64_t i = 0; i < 3; ++i) {
    const double h = 1e-6;
    at::Tensor up = student.detach().clone(), down = student.detach().clone();
    up[0][i].add_(h);
    down[0][i].sub_(h);
    const double slope = (scalar(compress::soft_target_loss(up, teacher, zero, T, weight)) - scalar(compress::soft_target_loss(down, teacher, zero, T, weight))) / (2 * h);
    CHECK(student.grad()[0][i].item<double>() == doctest::Approx(slope).epsilon(1e-6));
  }
}
