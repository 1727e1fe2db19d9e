#include "engine/optim/packed.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/core/error.h"
#include "engine/exec/random.h"
#include "engine/exec/simd/simd.h"

namespace ds::optim {
namespace {

/// Values of the 256 codes, ascending, in [-1, 1] or [0, 1]: seven decades, each with twice as many steps as the one below it.
struct Codes {
  std::array<float, 256> value{};
  int zero = 0;  ///< code of 0
  /// By the leading bits of a float in [2^-24, 1]: the largest code that is not above any number with these bits.
  static constexpr int kShift = 17, kFirst = (127 - 24) << (23 - kShift), kEntries = (25 << (23 - kShift)) + 1;
  std::array<std::uint8_t, kEntries> start{};

  explicit Codes(bool is_signed) {
    std::vector<double> values{0, 1};
    for (int decade = 0; decade < 7; ++decade) {
      const int steps = is_signed ? 1 << decade : 2 << decade;
      for (int i = 0; i < steps; ++i) {
        const double middle = std::pow(10.0, decade - 6) * (0.1 + 0.9 * (i + 0.5) / steps);
        values.push_back(middle);
        if (is_signed) values.push_back(-middle);
      }
    }
    std::sort(values.begin(), values.end());
    for (std::size_t i = 0; i < 256; ++i) value[i] = static_cast<float>(values[i]);
    zero = static_cast<int>(std::find(value.begin(), value.end(), 0.0F) - value.begin());
    for (int i = 0; i < kEntries; ++i) {
      const float least = std::bit_cast<float>(static_cast<std::uint32_t>(i + kFirst) << kShift);
      int code = zero;
      while (code < 255 && value[static_cast<std::size_t>(code) + 1] <= least) ++code;
      start[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(code);
    }
  }

  /// The largest code from zero on whose value is at most x, for x in [0, 1].
  int below(float x) const {
    const int at = static_cast<int>(std::bit_cast<std::uint32_t>(x) >> kShift) - kFirst;
    int code = at < 0 ? zero : start[static_cast<std::size_t>(std::min(at, kEntries - 1))];
    while (code < 255 && value[static_cast<std::size_t>(code) + 1] <= x) ++code;
    return code;
  }
};

const Codes& codes_of(bool is_signed) {
  static const Codes with_sign(true), without(false);
  return is_signed ? with_sign : without;
}

/// The code nearest to x in [-1, 1].
std::uint8_t encode(const Codes& codes, bool is_signed, float x) {
  const float size = std::min(std::abs(x), 1.0F);
  int code = codes.below(size);
  if (code < 255) {
    const float low = codes.value[static_cast<std::size_t>(code)], high = codes.value[static_cast<std::size_t>(code) + 1];
    code += size - low > high - size;
  }
  if (!is_signed) return static_cast<std::uint8_t>(size > 0 ? std::max(code, codes.zero + 1) : codes.zero);  // what divides is never rounded to 0
  if (x >= 0) return static_cast<std::uint8_t>(code);
  return static_cast<std::uint8_t>(2 * codes.zero - std::min(code, 2 * codes.zero));  // -1 has no code
}

std::uint16_t to_bfloat16(float x, std::uint32_t word) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000U) == 0x7f800000U) return static_cast<std::uint16_t>(bits >> 16 | ((bits & 0xffffU) != 0));  // a NaN stays one
  const std::uint32_t up = bits + (word & 0xffffU);
  return static_cast<std::uint16_t>(((up & 0x7f800000U) == 0x7f800000U ? bits : up) >> 16);
}

template <class F>
void dispatch(const at::Tensor& tensor, F f) {
  if (tensor.scalar_type() == at::kFloat) return f(tensor.mutable_data_ptr<float>());
  if (tensor.scalar_type() == at::kDouble) return f(tensor.mutable_data_ptr<double>());
  throw Error(Exit::kFailure, "optim.state_bits", "weights are neither float32 nor float64");
}

}  // namespace

Packed::Packed(const at::Tensor& value, int bits, bool is_signed, const std::string& name)
    : is_signed_(is_signed), key_(exec::stream_key(0, "optimizer state", name)) {
  if (bits == 16) {
    codes = at::zeros_like(value, value.options().dtype(at::kBFloat16).requires_grad(false));
    return;
  }
  codes = at::empty_like(value, value.options().dtype(at::kByte).requires_grad(false)).fill_(codes_of(is_signed).zero);
  scales = at::zeros({(value.numel() + kBlock - 1) / kBlock}, at::kFloat);
}

void Packed::unpack(std::int64_t begin, const at::Tensor& to) const {
  const std::int64_t n = to.numel();
  dispatch(to, [&](auto* out) {
    using T = std::remove_pointer_t<decltype(out)>;
    if (!scales.defined()) {
      const auto* in = static_cast<const std::uint16_t*>(codes.const_data_ptr()) + begin;
      for (std::int64_t i = 0; i < n; ++i) out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(in[i]) << 16);
      return;
    }
    const std::uint8_t* in = codes.const_data_ptr<std::uint8_t>() + begin;
    const float* scale = scales.const_data_ptr<float>() + begin / kBlock;
    const Codes& table = codes_of(is_signed_);
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(table.value[in[i]] * scale[i / kBlock]);
  });
}

void Packed::pack(std::int64_t begin, const at::Tensor& from, std::int64_t step) {
  const std::int64_t n = from.numel();
  std::array<std::uint32_t, kBlock> words;
  dispatch(from, [&](const auto* in) {
    auto* narrow = static_cast<std::uint16_t*>(codes.mutable_data_ptr());
    auto* bytes = static_cast<std::uint8_t*>(codes.mutable_data_ptr());
    const Codes& table = codes_of(is_signed_);
    for (std::int64_t first = 0; first < n; first += kBlock) {
      const std::int64_t at = begin + first, count = std::min(kBlock, n - first);
      if (!scales.defined()) {
        exec::simd::kernels().rows->philox_words(key_, static_cast<std::uint32_t>(step), 0, static_cast<std::uint64_t>(at), count, words.data());
        for (std::int64_t i = 0; i < count; ++i) narrow[at + i] = to_bfloat16(static_cast<float>(in[first + i]), words[static_cast<std::size_t>(i)]);
        continue;
      }
      float largest = 0;
      for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(static_cast<float>(in[first + i])));
      scales.mutable_data_ptr<float>()[at / kBlock] = largest;
      const float inverse = largest > 0 ? 1 / largest : 0;
      for (std::int64_t i = 0; i < count; ++i)
        bytes[at + i] = encode(table, is_signed_, std::isfinite(inverse) ? static_cast<float>(in[first + i]) * inverse : 0);
    }
  });
}

}  // namespace ds::optim
