// What int8 numbers mean to the executor. Activations: u8 in 0..127 with a zero point (7 bits: kernels without VNNI saturate beyond).
// Weights: s8 in -127..127, a scale an output channel. Bias: s32 of scale x_scale * weight_scale. Rounding: half to even, everywhere.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

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

}  // namespace ds::exec
