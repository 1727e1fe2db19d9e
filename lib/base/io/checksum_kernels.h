// The work of checksum.h, compiled once for each instruction set. No library templates here: a weak copy of one, compiled for
// AVX2, could be what the linker gives to everyone.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace ds::io {

struct ChecksumKernels {
  void (*reset)(void* state);
  void (*update)(void* state, const void* data, size_t bytes);
  void (*digest)(const void* state, uint8_t* canonical);
  bool (*nonfinite16)(const void* data, size_t bytes, uint16_t exponent_unit);
  bool (*nonfinite32)(const void* data, size_t bytes, uint32_t exponent_unit);
  bool (*nonfinite64)(const void* data, size_t bytes, uint64_t exponent_unit);
};

const ChecksumKernels& checksum_baseline();
const ChecksumKernels& checksum_avx2();

}  // namespace ds::io
