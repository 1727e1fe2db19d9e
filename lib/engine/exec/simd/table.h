// Our own vector kernels as plain tables of function pointers, one set an ISA (simd.h chooses). This header is data only: it is all
// of ours that the .isa.cc files include, since an inline function compiled for AVX-512 could become everybody's copy.
// Every kernel gives the same bytes on every ISA: sums run over rows in one order, and products are never contracted with sums.
#pragma once
#include <cstdint>

namespace ds::exec::simd {

/// Float32 kernels over `rows` rows of C channels (channels-last pixels). Threads: the caller's, over ranges of rows.
struct RowKernels {
  /// sum[c] += x - shift[c], square[c] += (x - shift[c])^2. Shift by any row of x: squares then do not cancel where the mean is large.
  void (*moments)(const float* x, const float* shift, std::int64_t rows, std::int64_t C, float* sum, float* square);
  /// y = x * scale[c] + offset[c], then max(0, y) if relu; a NaN passes. y may be x.
  void (*scale_offset)(const float* x, const float* scale, const float* offset, std::int64_t rows, std::int64_t C, bool relu, float* y);
  /// With dz = dy (if relu: where x * scale + offset > 0, else 0): sum[c] += dz, dot[c] += dz * (x - mean[c]).
  void (*backward_sums)(const float* dy, const float* x, const float* scale, const float* offset, const float* mean, std::int64_t rows,
                        std::int64_t C, bool relu, float* sum, float* dot);
  /// dx = scale[c] * dz + slope[c] * x + constant[c], dz as above. dx may be dy.
  /// BatchNorm: slope = -scale * invstd^2 * mean(dz (x - m)), constant = -scale * mean(dz) - slope * m  (Ioffe & Szegedy 2015, section 3).
  void (*backward)(const float* dy, const float* x, const float* scale, const float* offset, const float* slope, const float* constant,
                   std::int64_t rows, std::int64_t C, bool relu, float* dx);
  /// 2x2, stride 2: one output row of `width` pixels from two input rows of 2 * width; which = 0..3, the place of the maximum (the first
  /// of equal values; a NaN wins, the last one of several, as in torch).
  void (*max_pool)(const float* top, const float* bottom, std::int64_t width, std::int64_t C, float* y, std::uint8_t* which);
  /// Gradient of max_pool: writes all of 2 * width pixels of both rows. An odd last column or row is the caller's to clear.
  void (*max_unpool)(const float* dy, const std::uint8_t* which, std::int64_t width, std::int64_t C, float* top, float* bottom);
  /// Words of Philox4x32-10 (Salmon et al. 2011) for elements first .. first + n - 1 of a sample: element e takes word e % 4 of the counter
  /// {low(e / 4), low(sample), high(sample) ^ high(e / 4), step} under {low(key), high(key)}. So it depends on (key, step, sample, e) alone.
  void (*philox_words)(std::uint64_t key, std::uint32_t step, std::uint64_t sample, std::uint64_t first, std::int64_t n, std::uint32_t* words);
  /// y = x * scale where the element's word >= threshold, else 0. Row r is the sample ids[r], its elements 0 .. length - 1. y may be x.
  /// Threshold: p * 2^32; scale: 1 / (1 - p). The gradient is the same call on dy.
  void (*dropout)(const float* x, std::int64_t rows, std::int64_t length, const std::int64_t* ids, std::uint64_t key, std::uint32_t step,
                  std::uint32_t threshold, float scale, float* y);
};

// --- int8 -------------------------------------------------------------------------------------------------------------------------
// One meaning everywhere: activations u8 in 0..127 with a zero point in 0..127, weights s8 in -127..127 with a scale an output channel,
// accumulator s32. clamp and round half to even:  q = clamp(round(float(acc) * m) + zero, low, 127);  each product and each sum is rounded
// to float32. relu: low = zero, else 0. No kernel gives another value than the plain loops in tests/unit/exec/int8_reference.h.

constexpr std::int64_t kColumns = 16;      ///< output channels a block of packed weights
constexpr std::int64_t kTileRows = 48;     ///< most output pixels whose inputs are gathered at once
constexpr std::int64_t kTileBytes = 196608;  ///< and their most bytes: they stay in the second-level cache
constexpr std::int64_t kMostTaps = 252;    ///< kernel_h * kernel_w of `depthwise`

/// A convolution, or a linear layer as a 1x1 convolution of 1x1 pictures. Pixels outside count as x_zero, that is 0.
struct Int8Conv {
  const std::uint8_t* x;  ///< [batch, height, width, channels]
  std::int64_t batch, height, width, channels;
  std::int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
  std::int64_t out_height, out_width, out_channels;
  std::int32_t x_zero;
  const std::int8_t* weights;  ///< packed (int8_pack.h): [groups, blocks, quads, 16 channels, 4]
  const std::int32_t* bias;    ///< [groups, blocks * 16], with -x_zero * sum(weights) in it
  const float* multiplier;     ///< [groups, blocks * 16]: s_x * s_w / s_y, or s_x * s_w for float output
  const std::uint8_t* residual;  ///< null, or shaped as y: adds float(residual - residual_zero) * residual_multiplier before rounding
  std::int32_t residual_zero;
  float residual_multiplier;  ///< s_residual / s_y
  std::int32_t y_zero, low;
  std::uint8_t* y;  ///< [batch, out_height, out_width, out_channels], or null:
  float* y_float;   ///< float output, y = float(acc) * multiplier (no residual)
};

/// Pooling, channels-last. Max pooling ignores pixels outside.
struct Int8Pool {
  const std::uint8_t* x;  ///< [batch, height, width, channels]
  std::int64_t height, width, channels;
  std::int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  std::int64_t out_height, out_width;
  bool count_padding;  ///< average: divide by all taps, else by those inside
  std::int32_t x_zero, y_zero;
  float ratio;      ///< average: s_x / s_y; m = ratio / float(divisor)
  std::uint8_t* y;  ///< [batch, out_height, out_width, channels]
};

/// q = clamp(round(float(a - a_zero) * a_ratio + float(b - b_zero) * b_ratio) + y_zero, low, 127); ratios s_a / s_y, s_b / s_y.
struct Int8Add {
  const std::uint8_t *a, *b;
  std::int32_t a_zero, b_zero, y_zero, low;
  float a_ratio, b_ratio;
  std::uint8_t* y;
};

/// Ranges [begin, end) are over output pixels of the whole batch, or over elements: the caller gives each thread one.
struct Int8Kernels {
  /// Any groups. @param scratch conv_scratch_bytes(), one a thread
  void (*conv)(const Int8Conv& conv, std::int64_t begin, std::int64_t end, std::uint8_t* scratch);
  /// groups == channels == out_channels, at most kMostTaps taps.
  void (*depthwise)(const Int8Conv& conv, std::int64_t begin, std::int64_t end, std::uint8_t* scratch);
  void (*max_pool)(const Int8Pool& pool, std::int64_t begin, std::int64_t end);
  /// Also the global one: a window as large as the picture.
  void (*avg_pool)(const Int8Pool& pool, std::int64_t begin, std::int64_t end);
  void (*add)(const Int8Add& add, std::int64_t begin, std::int64_t end);
  /// y = clamp(round(x / scale) + zero, 0, 127), a true division; a NaN becomes 127.
  void (*quantize)(const float* x, std::int64_t n, float scale, std::int32_t zero, std::uint8_t* y);
  /// The same from [N, C, pixels] to [N, pixels, C], for the pixels begin .. end of N * pixels.
  void (*quantize_nchw)(const float* x, std::int64_t C, std::int64_t pixels, std::int64_t begin, std::int64_t end, float scale, std::int32_t zero,
                        std::uint8_t* y);
  /// y = float(x - zero) * scale
  void (*dequantize)(const std::uint8_t* x, std::int64_t n, float scale, std::int32_t zero, float* y);
  /// y = table[x] for x in 0..127: any function of one value, another scale, or a clamp. y may be x.
  void (*lookup)(const std::uint8_t* x, std::int64_t n, const std::uint8_t* table, std::uint8_t* y);
};

}  // namespace ds::exec::simd
