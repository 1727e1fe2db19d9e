// A block of numbers with a shape: what a checkpoint holds and what crosses from files to tensors, without LibTorch.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ds::io {

/// kI4 and kU4 pack two elements a byte, the low nibble first; the last byte of an odd count is padded with 0.
enum class DType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool, kI4, kU4 };

const char* dtype_name(DType dtype);                 ///< "float32", "bfloat16", "int8", "int4" ...
/// Throws ds::Error(kInput) for an unknown name.
DType parse_dtype(const std::string& name, const std::string& where);
int dtype_bits(DType dtype);
bool is_float(DType dtype);

/// Row-major. `keeper` holds the memory (a buffer or a file mapping); `data` may be written: a mapping is private.
struct Array {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  ///< {} is a scalar
  std::byte* data = nullptr;
  std::shared_ptr<void> keeper;

  std::int64_t numel() const;
  std::size_t bytes() const;
  template <class T>
  T* as() { return reinterpret_cast<T*>(data); }
  template <class T>
  const T* as() const { return reinterpret_cast<const T*>(data); }
};

/// Uninitialised memory of its own, aligned to 64 bytes.
/// Throws ds::Error(kFailure) for a negative dim, ds::Error(kResource) where memory is short.
Array make_array(DType dtype, std::vector<std::int64_t> shape);

/// Element `index` in row-major order as a double (exact but for large int64).
double element(const Array& array, std::int64_t index);
/// Index of the first NaN or infinity, -1 where there is none (or the dtype has none).
std::int64_t first_nonfinite(const Array& array);
/// "[64,3,7,7]"; "[]" for a scalar.
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace ds::io
