#include "base/io/cast.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/core/error.h"

namespace ds::io {
namespace {

struct Half {
  std::uint16_t bits;
};
struct Brain {
  std::uint16_t bits;
};

/// Through float32, save between float32 and float64.
float widen(float value) { return value; }
float widen(double value) { return static_cast<float>(value); }
float widen(Brain value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }
float widen(Half value) {
  const std::uint32_t sign = std::uint32_t{value.bits & 0x8000u} << 16, exponent = value.bits >> 10 & 31u, fraction = value.bits & 1023u;
  if (exponent == 0) return std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f) | sign);
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13);
}

void narrow(float value, float& to) { to = value; }
void narrow(float value, double& to) { to = value; }
void narrow(float value, Brain& to) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  to.bits = std::isnan(value) ? std::uint16_t{0x7fc0} : static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
void narrow(float value, Half& to) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  std::uint32_t half = 0;
  if (size > 0x7f800000u) half = 0x7e00u;
  else if (size >= 0x477ff000u) half = 0x7c00u;  // 65520 and more: the half between the largest and what would come next
  else if (size < 0x38800000u) half = static_cast<std::uint32_t>(std::lrint(std::bit_cast<float>(size) * 0x1p24f));  // below 2^-14: steps of 2^-24
  else half = (size + 0xfffu + (size >> 13 & 1u) - 0x38000000u) >> 13;
  to.bits = static_cast<std::uint16_t>(sign | half);
}

template <class From, class To>
double convert(const std::byte* from, std::byte* to, std::int64_t n) {
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    From value;
    std::memcpy(&value, from + i * std::int64_t{sizeof value}, sizeof value);
    To result;
    if constexpr (std::is_same_v<From, double> && std::is_same_v<To, double>) result = value;
    else narrow(widen(value), result);
    std::memcpy(to + i * std::int64_t{sizeof result}, &result, sizeof result);
    if constexpr (sizeof(To) < sizeof(From) || (sizeof(To) == sizeof(From) && !std::is_same_v<From, To>)) {
      double exact, rounded;
      if constexpr (std::is_same_v<From, double>) exact = value;
      else exact = widen(value);
      rounded = widen(result);
      if (const double apart = std::abs(exact - rounded); apart > largest) largest = apart;
    }
  }
  return largest;
}

template <class From>
double convert_to(DType dtype, const std::byte* from, std::byte* to, std::int64_t n) {
  switch (dtype) {
    case DType::kF64: return convert<From, double>(from, to, n);
    case DType::kF32: return convert<From, float>(from, to, n);
    case DType::kF16: return convert<From, Half>(from, to, n);
    case DType::kBF16: return convert<From, Brain>(from, to, n);
    default: throw Error(Exit::kFailure, dtype_name(dtype), "is no float dtype");
  }
}

double convert_any(DType from_dtype, DType to_dtype, const std::byte* from, std::byte* to, std::int64_t n) {
  switch (from_dtype) {
    case DType::kF64: return convert_to<double>(to_dtype, from, to, n);
    case DType::kF32: return convert_to<float>(to_dtype, from, to, n);
    case DType::kF16: return convert_to<Half>(to_dtype, from, to, n);
    case DType::kBF16: return convert_to<Brain>(to_dtype, from, to, n);
    default: throw Error(Exit::kFailure, dtype_name(from_dtype), "is no float dtype");
  }
}

}  // namespace

Array cast(const Array& array, DType dtype, double& largest) {
  Array out = make_array(dtype, array.shape);
  const std::int64_t n = array.numel(), block = std::int64_t{1} << 20, size = dtype_bits(array.dtype) / 8;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (std::int64_t at = 0; at < n; at += block) {
    const std::int64_t count = std::min(block, n - at);
    const double apart = convert_any(array.dtype, dtype, array.data + at * size, out.data + at * (dtype_bits(dtype) / 8), count);
    largest = std::max(largest, apart);
    // Not MADV_DONTNEED: where this is no mapping but memory, another tensor may be a view of it.
    const auto first = reinterpret_cast<std::uintptr_t>(array.data + at * size), begin = (first + page - 1) / page * page;
    const auto end = (first + static_cast<std::uintptr_t>(count * size)) / page * page;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_PAGEOUT);
  }
  return out;
}

}  // namespace ds::io
