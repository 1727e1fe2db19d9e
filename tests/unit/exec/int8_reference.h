// The meaning of int8, in plain integer loops: no vector, no packing, no order that matters. The fast kernels equal these bit for bit.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/exec/simd/table.h"

namespace ds::test::int8 {

using exec::simd::Int8Add;
using exec::simd::Int8Conv;
using exec::simd::Int8Pool;

/// clamp(round half to even(v) + zero, low, 127)
inline std::uint8_t requantize(float v, std::int32_t zero, std::int32_t low) {
  const double q = std::nearbyint(double(v)) + zero;
  return std::uint8_t(q < low ? low : q > 127 ? 127 : q);
}

/// sum of (x - x_zero) * w over the kernel; a pixel outside is 0. @param weight [out, in / groups, kernel_h, kernel_w]
inline std::int32_t conv_sum(const Int8Conv& p, const std::int8_t* weight, std::int64_t image, std::int64_t oy, std::int64_t ox, std::int64_t o) {
  const std::int64_t in = p.channels / p.groups, group = o / (p.out_channels / p.groups);
  std::int32_t sum = 0;
  for (std::int64_t i = 0; i < p.kernel_h; ++i)
    for (std::int64_t j = 0; j < p.kernel_w; ++j) {
      const std::int64_t y = oy * p.stride_h - p.pad_h + i * p.dilation_h, x = ox * p.stride_w - p.pad_w + j * p.dilation_w;
      if (y < 0 || y >= p.height || x < 0 || x >= p.width) continue;
      for (std::int64_t c = 0; c < in; ++c)
        sum += (std::int32_t(p.x[((image * p.height + y) * p.width + x) * p.channels + group * in + c]) - p.x_zero) *
               std::int32_t(weight[((o * in + c) * p.kernel_h + i) * p.kernel_w + j]);
    }
  return sum;
}

/// The whole convolution into y or y_float. @param bias, multiplier [out], not packed; bias may be null
inline void conv(const Int8Conv& p, const std::int8_t* weight, const std::int32_t* bias, const float* multiplier) {
  std::int64_t at = 0;
  for (std::int64_t n = 0; n < p.batch; ++n)
    for (std::int64_t oy = 0; oy < p.out_height; ++oy)
      for (std::int64_t ox = 0; ox < p.out_width; ++ox)
        for (std::int64_t o = 0; o < p.out_channels; ++o, ++at) {
          const std::int32_t sum = conv_sum(p, weight, n, oy, ox, o) + (bias ? bias[o] : 0);
          float v = float(sum) * multiplier[o];
          if (p.y_float) {
            p.y_float[at] = v;
            continue;
          }
          if (p.residual) {
            const float other = float(std::int32_t(p.residual[at]) - p.residual_zero) * p.residual_multiplier;
            v = v + other;
          }
          p.y[at] = requantize(v, p.y_zero, p.low);
        }
}

inline void pool(const Int8Pool& p, std::int64_t batch, bool average) {
  std::int64_t at = 0;
  for (std::int64_t n = 0; n < batch; ++n)
    for (std::int64_t oy = 0; oy < p.out_height; ++oy)
      for (std::int64_t ox = 0; ox < p.out_width; ++ox)
        for (std::int64_t c = 0; c < p.channels; ++c, ++at) {
          std::int32_t most = 0, sum = 0, taps = 0;
          for (std::int64_t i = 0; i < p.kernel_h; ++i)
            for (std::int64_t j = 0; j < p.kernel_w; ++j) {
              const std::int64_t y = oy * p.stride_h - p.pad_h + i * p.dilation_h, x = ox * p.stride_w - p.pad_w + j * p.dilation_w;
              if (y < 0 || y >= p.height || x < 0 || x >= p.width) continue;
              const std::int32_t value = p.x[((n * p.height + y) * p.width + x) * p.channels + c];
              most = value > most ? value : most;
              sum += value - p.x_zero;
              ++taps;
            }
          const float divisor = float(p.count_padding ? p.kernel_h * p.kernel_w : taps);
          p.y[at] = average ? requantize(float(sum) * (p.ratio / divisor), p.y_zero, 0) : std::uint8_t(most);
        }
}

inline std::uint8_t add(const Int8Add& p, std::int64_t i) {
  const float a = float(std::int32_t(p.a[i]) - p.a_zero) * p.a_ratio, b = float(std::int32_t(p.b[i]) - p.b_zero) * p.b_ratio;
  return requantize(a + b, p.y_zero, p.low);
}

/// Of codes a and b: ratio = a_scale * b_scale / y_scale.
inline std::uint8_t mul(int a, int a_zero, int b, int b_zero, float ratio, int y_zero) {
  return requantize(float((a - a_zero) * (b - b_zero)) * ratio, y_zero, 0);
}

/// A layer's value through the table of a function f: v is float(accumulator) * multiplier.
template <class F>
std::uint8_t look_up(float v, float low, float steps, F f, double y_scale, int y_zero) {
  const float at = (v - low) * steps;
  const double k = std::nearbyint(double(at < 0 ? 0 : at > 4095 ? 4095 : at));
  const double q = std::nearbyint(f(double(low) + k / double(steps)) / y_scale) + y_zero;
  return std::uint8_t(q < 0 ? 0 : q > 127 ? 127 : q);
}

inline std::uint8_t quantize(float x, float scale, std::int32_t zero) { return std::isnan(x) ? 127 : requantize(x / scale, zero, 0); }

}  // namespace ds::test::int8
