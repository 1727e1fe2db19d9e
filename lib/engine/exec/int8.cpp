#include "engine/exec/int8.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/core/error.h"

namespace ds::exec {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// One pass: the rounded value, and whether it was inside the range.
template <class T>
void round_to(const T* x, std::int64_t n, T scale, T zero, T* y, bool* inside) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T q = std::nearbyint(x[i] / scale) + zero;
    const T held = q < 0 ? 0 : q > 127 ? 127 : q;  // a NaN stays one
    inside[i] = held == q;
    y[i] = (held - zero) * scale;
  }
}

struct FakeQuantize : torch::autograd::Function<FakeQuantize> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, double scale, std::int64_t zero) {
    const at::Tensor x = input.is_non_overlapping_and_dense() ? input : input.contiguous();
    at::Tensor y = at::empty_like(x), inside = at::empty_like(x, x.options().dtype(at::kBool));
    bool* mask = inside.mutable_data_ptr<bool>();
    at::parallel_for(0, x.numel(), 16384, [&](std::int64_t begin, std::int64_t end) {
      if (x.scalar_type() == at::kFloat)
        round_to(x.const_data_ptr<float>() + begin, end - begin, float(scale), float(zero), y.mutable_data_ptr<float>() + begin, mask + begin);
      else
        round_to(x.const_data_ptr<double>() + begin, end - begin, scale, double(zero), y.mutable_data_ptr<double>() + begin, mask + begin);
    });
    context->save_for_backward({inside});
    return y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor inside = context->get_saved_variables()[0];
    return {at::where(inside, gradients[0], at::zeros_like(gradients[0])), {}, {}};
  }
};

struct FakeQuantizeWeight : torch::autograd::Function<FakeQuantizeWeight> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& weight) {
    std::vector<std::int64_t> shape(std::size_t(weight.dim()), 1);
    shape[0] = -1;
    const at::Tensor scale = weight.abs().reshape({weight.size(0), -1}).amax(1).div(127).clamp_min(1e-12).reshape(shape);
    return weight.div(scale).round_().clamp_(-127, 127).mul_(scale);
  }
  static variable_list backward(AutogradContext*, const variable_list& gradients) { return {gradients[0]}; }
};

}  // namespace

float int8_multiplier(double x_scale, double weight_scale, double y_scale) { return float(x_scale * weight_scale / y_scale); }

at::Tensor fake_quantize(const at::Tensor& x, double scale, std::int64_t zero_point) { return FakeQuantize::apply(x, scale, zero_point); }

at::Tensor fake_quantize_weight(const at::Tensor& weight) { return FakeQuantizeWeight::apply(weight); }

namespace {

double value_of(const std::string& name, double v) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  if (name == "silu") return v * sigmoid(v);
  if (name == "sigmoid") return sigmoid(v);
  if (name == "tanh") return std::tanh(v);
  if (name == "hardsigmoid") return std::clamp(v + 3, 0.0, 6.0) / 6;
  if (name == "hardswish") return v * std::clamp(v + 3, 0.0, 6.0) / 6;
  if (name == "gelu") return 0.5 * v * std::erfc(-v * M_SQRT1_2);
  if (name == "gelu_tanh") return 0.5 * v * (1 + std::tanh(0.5 * M_2_SQRTPI * M_SQRT2 * (v + 0.044715 * v * v * v)));
  throw Error(Exit::kFailure, name, "is no function of the int8 layers");
}

}  // namespace

Int8Activation int8_activation(const std::string& name, double y_scale, std::int64_t y_zero_point) {
  const bool steep = name.starts_with("hard");
  const bool bounded = name == "sigmoid" || name == "tanh" || name == "hardsigmoid";
  Int8Activation table;
  table.low = steep ? -3 : name.starts_with("gelu") ? -8 : -16;
  const double high = bounded ? -double(table.low) : std::max(double(127 - y_zero_point) * y_scale, 0.0) + 1;
  table.steps = static_cast<float>((Int8Activation::kEntries - 1) / (high - double(table.low)));
  for (int k = 0; k < Int8Activation::kEntries; ++k) {
    const double v = double(table.low) + k / double(table.steps);
    const double q = std::nearbyint(value_of(name, v) / y_scale) + double(y_zero_point);
    table.codes[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(std::clamp(q, 0.0, 127.0));
  }
  return table;
}

void Int8Activation::apply(const float* v, std::int64_t n, std::uint8_t* y) const {
  constexpr std::int64_t kBlock = 64;
  std::int32_t index[kBlock];
  for (std::int64_t at = 0; at < n; at += kBlock) {
    const std::int64_t m = std::min(kBlock, n - at);
    for (std::int64_t i = 0; i < m; ++i) {
      const float k = (v[at + i] - low) * steps, lower = k > 0 ? k : 0, held = lower < kEntries - 1 ? lower : kEntries - 1;
      index[i] = static_cast<std::int32_t>(std::lrintf(held));
    }
    for (std::int64_t i = 0; i < m; ++i) y[at + i] = codes[static_cast<std::size_t>(index[i])];
  }
}

}  // namespace ds::exec
