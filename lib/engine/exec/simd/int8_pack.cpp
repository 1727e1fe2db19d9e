#include "engine/exec/simd/int8_pack.h"

#include <algorithm>

namespace ds::exec::simd {

PackedConv pack_conv(const std::int8_t* weight, std::int64_t out, std::int64_t in_group, std::int64_t kernel_h, std::int64_t kernel_w,
                     std::int64_t groups, const std::int32_t* bias, std::int32_t x_zero, const float* multiplier) {
  PackedConv packed;
  const std::int64_t taps = kernel_h * kernel_w;
  packed.depthwise = in_group == 1 && groups == out && groups > 1 && taps <= kMostTaps;
  if (packed.depthwise) groups = 1;  // the channels side by side, as the outputs of one group
  const std::int64_t out_group = out / groups, depth = taps * in_group, quads = (depth + 3) / 4, blocks = (out_group + kColumns - 1) / kColumns;
  packed.weights.assign(std::size_t(groups * blocks * quads), PackedConv::Line{});
  packed.bias.assign(std::size_t(groups * blocks * kColumns), 0);
  packed.multiplier.assign(packed.bias.size(), 0.f);
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t group = o / out_group, column = o % out_group, block = group * blocks + column / kColumns;
    const std::size_t place = std::size_t(block * kColumns + column % kColumns);
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      const std::int8_t w = weight[o * depth + (k % in_group) * taps + k / in_group];
      packed.weights[std::size_t(block * quads + k / 4)].value[(column % kColumns) * 4 + k % 4] = w;
      sum += w;
    }
    packed.bias[place] = std::int32_t((bias ? bias[o] : 0) - x_zero * sum);
    packed.multiplier[place] = multiplier[o];
  }
  return packed;
}

std::int64_t conv_scratch_bytes(const Int8Conv& conv) {
  const std::int64_t depth = (conv.kernel_h * conv.kernel_w * (conv.channels / conv.groups) + 3) / 4 * 4;
  const std::int64_t gathered = std::max(std::min(kTileRows * depth, kTileBytes), 6 * depth);
  return std::max(gathered, conv.channels) + conv.kernel_w * conv.channels + 128;  // the rows, then a row outside the picture
}

void run_conv(const Int8Kernels& kernels, Int8Conv conv, const PackedConv& packed, std::int64_t begin, std::int64_t end, std::uint8_t* scratch) {
  conv.weights = packed.weights.data()->value;
  conv.bias = packed.bias.data();
  conv.multiplier = packed.multiplier.data();
  (packed.depthwise ? kernels.depthwise : kernels.conv)(conv, begin, end, scratch);
}

}  // namespace ds::exec::simd
