// Updates that ATen has no fused kernel for, in one pass over memory. All tensors of a call are dense with the same strides, float32 or float64.
#pragma once
#include <ATen/core/Tensor.h>

namespace ds::optim::loops {

struct RmsProp {
  double lr, alpha, momentum, weight_decay, eps;
  double shrink;  ///< the weight is multiplied by this first
};
/// Tieleman & Hinton 2012; Graves 2013. `mean` and `velocity` may be undefined: not centered, no momentum.
void rmsprop(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& square, const at::Tensor& mean, const at::Tensor& velocity,
             const RmsProp& by);

/// w = (1 - lr * decay) w - lr sign(b1 m + (1 - b1) g), m = b2 m + (1 - b2) g
void lion(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& momentum, double lr, double decay, double b1, double b2);

/// Adam's running means, and into `to` its step with c1 = 1 - b1^t, c2 = 1 - b2^t: (m / c1) / (sqrt(v) / sqrt(c2) + eps) + decay w
void lamb(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& mean, const at::Tensor& square, const at::Tensor& to, double b1,
          double b2, double c1, double c2, double eps, double decay);

}  // namespace ds::optim::loops
