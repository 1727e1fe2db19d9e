// What the tests of the formats of other programs share: the values of tests/golden/make_formats.py, files with one thing wrong.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "base/io/tensor_file.h"
#include "sample.h"

namespace io_test {

inline std::string golden(const std::string& name) { return std::string(DS_SOURCE_DIR) + "/tests/golden/formats/" + name; }

/// The tensors `dtypes` of make_formats.py: one a dtype, [[-2.5, 0, 1], [3, 100, 127]] as that dtype has it, and a scalar of 42.
inline void check_dtypes(const ds::io::TensorFile& file, bool bfloat = true) {
  const std::pair<const char*, DType> kinds[] = {{"f64", DType::kF64}, {"f32", DType::kF32},  {"f16", DType::kF16}, {"bf16", DType::kBF16},
                                                 {"i64", DType::kI64}, {"i32", DType::kI32},  {"i16", DType::kI16}, {"i8", DType::kI8},
                                                 {"u8", DType::kU8},   {"bool", DType::kBool}};
  CHECK(file.tensors.size() == (bfloat ? 11u : 10u));
  for (const auto& [name, dtype] : kinds) {
    if (dtype == DType::kBF16 && !bfloat) continue;
    CAPTURE(name);
    REQUIRE(file.tensors.count(name) == 1);
    const Array& array = file.tensors.at(name);
    CHECK(array.dtype == dtype);
    CHECK(array.shape == std::vector<std::int64_t>{2, 3});
    const double values[] = {-2.5, 0, 1, 3, 100, 127};
    for (int i = 0; i < 6; ++i) {
      double expected = ds::io::is_float(dtype) ? values[i] : std::trunc(values[i]);
      if (dtype == DType::kU8) expected = std::abs(expected);
      if (dtype == DType::kBool) expected = expected != 0;
      CHECK(ds::io::element(array, i) == expected);
    }
  }
  REQUIRE(file.tensors.count("scalar") == 1);
  CHECK(file.tensors.at("scalar").shape.empty());
  CHECK(ds::io::element(file.tensors.at("scalar"), 0) == 42);
}

/// Bytes in memory as a reader takes them.
inline ds::io::Bytes in_memory(const std::string& text) {
  Array copy = ds::io::make_array(DType::kU8, {static_cast<std::int64_t>(std::max<std::size_t>(text.size(), 1))});
  std::memcpy(copy.data, text.data(), text.size());
  return {copy.data, text.size(), copy.keeper};
}

/// Every byte with one bit turned, and every shorter file: the reader returns or refuses, and never crashes or hangs.
template <class Read>
long first_crash(const std::string& good, Read&& read) {
  const auto survives = [&](const std::string& bytes) {
    const Exit code = code_of([&] { read(in_memory(bytes)); });
    return code == Exit::kDone || code == Exit::kInput;
  };
  return first_failure(static_cast<long>(good.size()) * 9, 120, [&](long i) {
    std::string bytes = good;
    const auto at = static_cast<std::size_t>(i / 9);
    if (i % 9 == 8) bytes.resize(at);
    else bytes[at] = static_cast<char>(bytes[at] ^ (1 << i % 9));
    return survives(bytes);
  });
}

inline void same_tensors(const std::map<std::string, Array>& a, const std::map<std::string, Array>& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, array] : a) {
    CAPTURE(name);
    REQUIRE(b.count(name) == 1);
    const Array& other = b.at(name);
    CHECK(other.dtype == array.dtype);
    CHECK(other.shape == array.shape);
    CHECK(std::memcmp(other.data, array.data, array.bytes()) == 0);
  }
}

}  // namespace io_test
