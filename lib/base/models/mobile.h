// Blocks that the nets for small devices share: convolution with norm and activation, squeeze-and-excitation, residual sums with stochastic depth.
#pragma once
#include <string>

#include "base/graph/builder.h"

namespace ds::models {

/// Of every BatchNorm of a net.
struct NormOptions {
  double eps = 1e-5, momentum = 0.1;
};

/// torchvision's Conv2dNormActivation: convolution `<name>.0` without bias that keeps the size where the stride is 1 (odd kernels), BatchNorm
/// `<name>.1`, and the op `activation` as `<name>.2`; "" = none.
graph::Value conv_norm(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                       const std::string& activation, const NormOptions& norm = {}, std::int64_t groups = 1);

/// x [N, C, H, W] times a gate [N, C, 1, 1] from its own means: 1x1 convolutions `<name>.fc1` to `squeeze` channels and `<name>.fc2` back, with
/// the ops `activation` and `gate` behind them. Hu et al. 2018, "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3.
graph::Value squeeze_excite(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t squeeze, const std::string& activation,
                            const std::string& gate);

/// x + f, where f [N, ...] is left out for whole samples with probability p in training. Huang et al. 2016, arXiv:1603.09382, eq. 2-5.
graph::Value residual(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& f, double p = 0);

/// Global mean, flatten: [N, C, H, W] -> [N, C].
graph::Value pooled(graph::Builder& b, const graph::Value& x);

/// Channels of an image value.
std::int64_t channels(const graph::Builder& b, const graph::Value& x);

/// The nearest multiple of `divisor`, at least one, that is not more than 10 % below `v`. Sandler et al. 2018, arXiv:1801.04381; TensorFlow's rule.
std::int64_t make_divisible(double v, std::int64_t divisor = 8);

}  // namespace ds::models
