#include "engine/train/clip.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>

namespace ds::train {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<optim::Parameter>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const optim::Parameter& parameter : parameters)
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  return gradients;
}

/// Norms of the units, shaped to multiply: of a vector its elements are not units but one.
at::Tensor unit_norms(const at::Tensor& x) {
  if (x.dim() <= 1) return x.norm();
  std::vector<std::int64_t> dims;
  for (std::int64_t i = 1; i < x.dim(); ++i) dims.push_back(i);
  return x.norm(2, dims, /*keepdim=*/true);
}

void clip_units(const optim::Parameter& parameter, double limit) {
  at::Tensor gradient = parameter.value.grad();
  const at::Tensor most = unit_norms(parameter.value).clamp_min(1e-3).mul(limit), norm = unit_norms(gradient).clamp_min(1e-6);
  gradient.mul_(most.div(norm).clamp_max(1));
}

}  // namespace

double gradient_norm(const std::vector<optim::Parameter>& parameters) {
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  return gradients.empty() ? 0 : at::stack(at::_foreach_norm(gradients)).norm().item<double>();
}

void clip(const std::vector<optim::Parameter>& parameters, const std::string& mode, double limit, double norm, const std::string& skip) {
  const at::NoGradGuard no_grad;
  if (mode == "adaptive") {
    for (const optim::Parameter& parameter : parameters)
      if (parameter.value.grad().defined() && (skip.empty() || !parameter.name.starts_with(skip))) clip_units(parameter, limit);
    return;
  }
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return;
  if (mode == "value") {
    at::_foreach_clamp_min_(gradients, -limit);
    at::_foreach_clamp_max_(gradients, limit);
  } else if (norm > limit) {
    at::_foreach_mul_(gradients, limit / (norm + 1e-6));
  }
}

}  // namespace ds::train
