#include "base/io/array.h"

#include <array>
#include <cmath>
#include <cstring>
#include <new>

#include "base/core/error.h"
#include "base/io/checksum.h"

namespace ds::io {
namespace {

struct Description {
  const char* name;
  int bits;
  bool is_float;
};

/// In the order of DType.
constexpr std::array<Description, 12> kDescriptions = {{{"float64", 64, true},
                                                       {"float32", 32, true},
                                                       {"float16", 16, true},
                                                       {"bfloat16", 16, true},
                                                       {"int64", 64, false},
                                                       {"int32", 32, false},
                                                       {"int16", 16, false},
                                                       {"int8", 8, false},
                                                       {"uint8", 8, false},
                                                       {"bool", 8, false},
                                                       {"int4", 4, false},
                                                       {"uint4", 4, false}}};

const Description& description(DType dtype) { return kDescriptions.at(static_cast<std::size_t>(dtype)); }

template <class T>
T at(const Array& array, std::int64_t index) {
  T value;
  std::memcpy(&value, array.data + index * std::int64_t{sizeof(T)}, sizeof(T));
  return value;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) value = fraction ? std::nan("") : INFINITY;
  return bits >> 15 ? -value : value;
}

double bfloat_to_double(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

}  // namespace

const char* dtype_name(DType dtype) { return description(dtype).name; }
int dtype_bits(DType dtype) { return description(dtype).bits; }
bool is_float(DType dtype) { return description(dtype).is_float; }

DType parse_dtype(const std::string& name, const std::string& where) {
  for (std::size_t i = 0; i < kDescriptions.size(); ++i)
    if (name == kDescriptions[i].name) return static_cast<DType>(i);
  throw Error(Exit::kInput, where, "unknown dtype '" + name + "'", "known are float64, float32, float16, bfloat16, int64, int32, int16, int8, "
              "uint8, bool, int4 and uint4");
}

std::int64_t Array::numel() const {
  std::int64_t n = 1;
  for (std::int64_t dim : shape) n *= dim;
  return n;
}

std::size_t Array::bytes() const { return (static_cast<std::size_t>(numel()) * static_cast<std::size_t>(dtype_bits(dtype)) + 7) / 8; }

Array make_array(DType dtype, std::vector<std::int64_t> shape) {
  Array array;
  array.dtype = dtype;
  array.shape = std::move(shape);
  std::int64_t n = 8;  // bits a byte: the product below counts bits, so that bytes() cannot overflow either
  for (std::int64_t dim : array.shape)
    if (dim < 0 || __builtin_mul_overflow(n, dim, &n) || n > (std::int64_t{1} << 56))
      throw Error(Exit::kFailure, "array", "impossible shape " + shape_text(array.shape));
  const std::size_t bytes = std::max<std::size_t>(array.bytes(), 1);
  void* memory = ::operator new(bytes, std::align_val_t(64), std::nothrow);
  if (!memory) throw Error(Exit::kResource, "array", "no memory for " + std::to_string(bytes) + " bytes");
  array.keeper = std::shared_ptr<void>(memory, [](void* p) { ::operator delete(p, std::align_val_t(64)); });
  array.data = static_cast<std::byte*>(memory);
  return array;
}

double element(const Array& array, std::int64_t index) {
  switch (array.dtype) {
    case DType::kF64: return at<double>(array, index);
    case DType::kF32: return at<float>(array, index);
    case DType::kF16: return half_to_double(at<std::uint16_t>(array, index));
    case DType::kBF16: return bfloat_to_double(at<std::uint16_t>(array, index));
    case DType::kI64: return static_cast<double>(at<std::int64_t>(array, index));
    case DType::kI32: return at<std::int32_t>(array, index);
    case DType::kI16: return at<std::int16_t>(array, index);
    case DType::kI8: return at<std::int8_t>(array, index);
    case DType::kU8: return at<std::uint8_t>(array, index);
    case DType::kBool: return at<std::uint8_t>(array, index) != 0;
    case DType::kI4:
    case DType::kU4: {
      const int nibble = at<std::uint8_t>(array, index / 2) >> (index % 2 * 4) & 15;
      return array.dtype == DType::kI4 && nibble > 7 ? nibble - 16 : nibble;
    }
  }
  return 0;
}

std::int64_t first_nonfinite(const Array& array) {
  if (!is_float(array.dtype) || !has_nonfinite(array.dtype, array.data, array.bytes())) return -1;
  for (std::int64_t i = 0, n = array.numel(); i < n; ++i)
    if (!std::isfinite(element(array, i))) return i;
  return -1;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace ds::io
