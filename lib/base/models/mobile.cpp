#include "base/models/mobile.h"

#include <algorithm>

namespace ds::models {

graph::Value conv_norm(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                       const std::string& activation, const NormOptions& norm, std::int64_t groups) {
  const graph::Value y = b.batch_norm2d(name + ".1", b.conv2d(name + ".0", x, out, kernel, stride, kernel / 2, false, groups), norm.eps, norm.momentum);
  return activation.empty() ? y : b.node(activation, name + ".2", {y});
}

graph::Value squeeze_excite(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t squeeze, const std::string& activation,
                            const std::string& gate) {
  graph::Value g = b.conv2d(name + ".fc1", b.global_avg_pool(name + ".avgpool", x), squeeze, 1);
  g = b.conv2d(name + ".fc2", b.node(activation, name + ".activation", {g}), channels(b, x), 1);
  return b.node("mul", name + ".mul", {x, b.node(gate, name + ".scale_activation", {g})});
}

graph::Value residual(graph::Builder& b, const std::string& name, const graph::Value& x, const graph::Value& f, double p) {
  return b.add(name + ".add", p > 0 ? b.node("drop_path", name + ".stochastic_depth", {f}, {{"p", p}}) : f, x);
}

graph::Value pooled(graph::Builder& b, const graph::Value& x) { return b.flatten("flatten", b.global_avg_pool("avgpool", x)); }

std::int64_t channels(const graph::Builder& b, const graph::Value& x) { return b.type(x).dims.at(1).value(); }

std::int64_t make_divisible(double v, std::int64_t divisor) {
  const double d = static_cast<double>(divisor);
  const std::int64_t nearest = std::max(divisor, static_cast<std::int64_t>(v + d / 2) / divisor * divisor);
  return static_cast<double>(nearest) < 0.9 * v ? nearest + divisor : nearest;
}

}  // namespace ds::models
