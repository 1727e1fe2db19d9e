// Small nets for the tests of compression.
#pragma once
#include "base/models/models.h"
#include "engine/compress/pruner.h"
#include "engine/exec/executor.h"

namespace ds::test {

inline exec::Model make_cnn(std::uint64_t seed = 1, std::int64_t width = 8, std::int64_t classes = 4) {
  core::Choice arch("architecture", "cnn", "arch");
  core::Json options = {{"width", width}};
  core::from_json(*arch.options, options, "test");
  return exec::make_model(models::build(arch, classes, 1, 12, 12), seed);
}

/// Weights as after training: BatchNorm's statistics and scales are no longer 0 and 1.
inline void roughen(exec::Model& model) {
  for (const auto& spec : model.graph.tensors) {
    at::Tensor& t = model.tensors.at(spec.name);
    if (t.dim() != 1 || !t.is_floating_point()) continue;
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      const double wave = 0.5 * std::sin(double(i) * 1.7 + double(spec.name.size()));
      t[i].fill_(spec.name.ends_with("running_var") || spec.name.ends_with("weight") ? 1 + wave : wave / 5);
    }
  }
}

inline at::Tensor ramp(std::vector<std::int64_t> shape, double step) {
  at::Tensor t = at::Tensor(exec::to_tensor(io::make_array(io::DType::kF32, shape)));
  float* p = t.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = float(std::sin(double(i) * step));
  return t;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) { return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>(); }

}  // namespace ds::test
