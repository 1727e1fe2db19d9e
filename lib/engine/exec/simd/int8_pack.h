// Weights of int8 convolutions in the order that the kernels read them. Done once, when a kernel is bound; the same for every ISA.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/exec/simd/table.h"

namespace ds::exec::simd {

struct PackedConv {
  /// One cache line: 4 inputs each of 16 output channels.
  struct alignas(64) Line {
    std::int8_t value[64];
  };
  std::vector<Line> weights;        ///< [groups, blocks, quads]; inputs in the order (kernel row, kernel column, channel), padded with 0
  std::vector<std::int32_t> bias;   ///< [groups, blocks * 16], with -x_zero * sum(weights)
  std::vector<float> multiplier;    ///< [groups, blocks * 16]
  bool depthwise = false;           ///< made for Int8Kernels::depthwise: one group of all channels, taps as inputs
};

/// @param weight [out, in / groups, kernel_h, kernel_w] in -127..127    @param bias [out] or null, scale s_x * s_w
/// @param multiplier [out]: s_x * s_w / s_y, or s_x * s_w for float output
PackedConv pack_conv(const std::int8_t* weight, std::int64_t out, std::int64_t in_group, std::int64_t kernel_h, std::int64_t kernel_w,
                     std::int64_t groups, const std::int32_t* bias, std::int32_t x_zero, const float* multiplier);

/// Bytes of scratch a thread needs for `conv` or `depthwise`, whatever its range.
std::int64_t conv_scratch_bytes(const Int8Conv& conv);

/// Puts the packed arrays in `conv` and calls the kernel that they were made for.
void run_conv(const Int8Kernels& kernels, Int8Conv conv, const PackedConv& packed, std::int64_t begin, std::int64_t end, std::uint8_t* scratch);

}  // namespace ds::exec::simd
