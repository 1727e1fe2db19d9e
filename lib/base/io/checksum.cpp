#include "base/io/checksum.h"

#include "base/io/checksum_kernels.h"

namespace ds::io {
namespace {

const ChecksumKernels& kernels() {
#if defined(__x86_64__)
  static const ChecksumKernels& chosen = __builtin_cpu_supports("avx2") ? checksum_avx2() : checksum_baseline();
#else
  static const ChecksumKernels& chosen = checksum_baseline();
#endif
  return chosen;
}

}  // namespace

Checksum::Checksum() : state_{} { kernels().reset(state_); }

void Checksum::update(const void* data, std::size_t bytes) { kernels().update(state_, data, bytes); }

std::string Checksum::hex() const {
  static const char* digits = "0123456789abcdef";
  std::uint8_t bytes[16];
  kernels().digest(state_, bytes);
  std::string text;
  for (std::uint8_t byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

bool has_nonfinite(DType dtype, const std::byte* data, std::size_t bytes) {
  switch (dtype) {
    case DType::kF64: return kernels().nonfinite64(data, bytes, std::uint64_t{1} << 52);
    case DType::kF32: return kernels().nonfinite32(data, bytes, std::uint32_t{1} << 23);
    case DType::kF16: return kernels().nonfinite16(data, bytes, std::uint16_t{1} << 10);
    case DType::kBF16: return kernels().nonfinite16(data, bytes, std::uint16_t{1} << 7);
    default: return false;
  }
}

}  // namespace ds::io
