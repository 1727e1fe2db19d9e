// What int8 numbers mean to the executor. Activations: u8 in 0..127 with a zero point (7 bits: kernels without VNNI saturate beyond).
// Weights: s8 in -127..127, a scale an output channel. Bias: s32 of scale x_scale * weight_scale. Rounding: half to even, everywhere.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

namespace ds::exec {

/// What a sum of products is multiplied by: float32(x_scale * weight_scale / y_scale), worked out in float64.
float int8_multiplier(double x_scale, double weight_scale, double y_scale);

/// (clamp(round(x / scale) + zero_point, 0, 127) - zero_point) * scale. The gradient passes where nothing was clamped (straight-through
/// estimator; Bengio et al. 2013, arXiv:1308.3432). float32: the bytes of quantize and dequantize.
/// @param x float32 or float64, any shape and memory format
at::Tensor fake_quantize(const at::Tensor& x, double scale, std::int64_t zero_point);

/// round(w / s) * s with s = max |w| / 127 (at least 1e-12) of each output channel: what the int8 lowering makes of it. The whole gradient
/// passes, since no weight is clamped.
/// @param weight [out, ...] float
at::Tensor fake_quantize_weight(const at::Tensor& weight);

/// A function of one element that a layer is followed by, as a table: no value between them is rounded to 7 bits.
/// With v = float(accumulator) * multiplier, multiplier = float32(x_scale * weight_scale):
/// k = clamp(round half to even((v - low) * steps), 0, 4095), float32 operations; the result is codes[k] =
/// clamp(round(f(low + k / steps) / y_scale) + y_zero_point, 0, 127), worked out in float64. Below `low` f is flat, and beyond the table flat or
/// above what the codes can hold.
struct Int8Activation {
  static constexpr int kEntries = 4096;
  float low = 0, steps = 1;
  std::array<std::uint8_t, kEntries> codes{};
  /// n values to codes.
  void apply(const float* v, std::int64_t n, std::uint8_t* y) const;
};
/// @param name as the attribute `activation` of qconv2d and qlinear has it, not "none"
Int8Activation int8_activation(const std::string& name, double y_scale, std::int64_t y_zero_point);

}  // namespace ds::exec
