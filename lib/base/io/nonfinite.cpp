#include "base/io/nonfinite.h"

namespace ds::io {
namespace {

/// A float is not finite where its exponent is all ones, that is where magnitude + one unit of the exponent reaches the sign bit.
/// One add and one OR an element, without a branch: the compiler makes vectors of it (-O2 alone would not).
template <class T>
[[gnu::optimize("O3")]] bool scan(const std::byte* data, std::size_t bytes, T exponent_unit) {
  const T* values = reinterpret_cast<const T*>(data);
  const T magnitude = static_cast<T>(~T{0}) >> 1;
  T seen = 0;
  for (std::size_t i = 0, n = bytes / sizeof(T); i < n; ++i) seen |= static_cast<T>((values[i] & magnitude) + exponent_unit);
  return seen >> (8 * sizeof(T) - 1);
}

}  // namespace

bool has_nonfinite(DType dtype, const std::byte* data, std::size_t bytes) {
  switch (dtype) {
    case DType::kF64: return scan<std::uint64_t>(data, bytes, std::uint64_t{1} << 52);
    case DType::kF32: return scan<std::uint32_t>(data, bytes, std::uint32_t{1} << 23);
    case DType::kF16: return scan<std::uint16_t>(data, bytes, std::uint16_t{1} << 10);
    case DType::kBF16: return scan<std::uint16_t>(data, bytes, std::uint16_t{1} << 7);
    default: return false;
  }
}

}  // namespace ds::io
