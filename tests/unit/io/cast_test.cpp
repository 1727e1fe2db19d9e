#include "base/io/cast.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sample.h"

using namespace io_test;
namespace io = ds::io;

namespace {

std::vector<std::uint16_t> halves(DType dtype, const std::vector<float>& values, double* largest = nullptr) {
  double apart = 0;
  const Array out = io::cast(array_of<float>(DType::kF32, {static_cast<std::int64_t>(values.size())}, values), dtype, apart);
  if (largest) *largest = apart;
  std::vector<std::uint16_t> bits(values.size());
  std::memcpy(bits.data(), out.data, out.bytes());
  return bits;
}

}  // namespace

TEST_CASE("cast: every half and every bfloat16 is the float32 that element() says, and comes back") {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    CAPTURE(io::dtype_name(dtype));
    std::vector<std::uint16_t> all(65536);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
    const Array narrow = array_of<std::uint16_t>(dtype, {256, 256}, all);
    double largest = 0;
    const Array wide = io::cast(narrow, DType::kF32, largest), back = io::cast(wide, dtype, largest);
    CHECK(largest == 0);
    CHECK(wide.shape == narrow.shape);
    long wrong = 0, changed = 0;
    for (std::int64_t i = 0; i < 65536; ++i) {
      const double expected = io::element(narrow, i), found = io::element(wide, i);
      wrong += !(found == expected && std::signbit(found) == std::signbit(expected)) && !(std::isnan(found) && std::isnan(expected));
      changed += !std::isnan(expected) && back.as<std::uint16_t>()[i] != all[static_cast<std::size_t>(i)];
    }
    CHECK(wrong == 0);
    CHECK(changed == 0);
    CHECK(std::isnan(io::element(back, 0x7fff)));
  }
}

TEST_CASE("cast: halves to even, below the smallest normal number and at the end of the range") {
  double largest = 0;
  // 1 + 2^-11 lies between 1 and 1 + 2^-10, 1 + 3 * 2^-11 between that and 1 + 2^-9
  CHECK(halves(DType::kF16, {1 + 0x1p-11f, 1 + 3 * 0x1p-11f, 1 + 0x1.1p-11f}, &largest) == std::vector<std::uint16_t>{0x3c00, 0x3c02, 0x3c01});
  CHECK(largest == doctest::Approx(0x1p-11));
  CHECK(halves(DType::kF16, {0x1p-24f, 0x1p-25f, 0x1.8p-24f, 0x1.ffep-15f, -0.0f}) == std::vector<std::uint16_t>{1, 0, 2, 0x0400, 0x8000});
  CHECK(halves(DType::kF16, {65504, 65519.996f, 65520, -1e10f}, &largest) == std::vector<std::uint16_t>{0x7bff, 0x7bff, 0x7c00, 0xfc00});
  CHECK(std::isinf(largest));
  CHECK(halves(DType::kBF16, {1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 3.4e38f}) == std::vector<std::uint16_t>{0x3f80, 0x3f82, 0x7f80});
  CHECK(halves(DType::kF16, {NAN})[0] == 0x7e00);
  CHECK(halves(DType::kBF16, {NAN})[0] == 0x7fc0);
}

TEST_CASE("cast: float64 to float32 tells how much was lost, and no more than that") {
  double largest = 0;
  const Array in = array_of<double>(DType::kF64, {3}, {1, 1 + 0x1p-25, -2 - 0x1p-30});
  const Array out = io::cast(in, DType::kF32, largest);
  CHECK(out.as<float>()[0] == 1);
  CHECK(out.as<float>()[1] == 1);
  CHECK(out.as<float>()[2] == -2);
  CHECK(largest == 0x1p-25);
  double none = 0;
  const Array back = io::cast(out, DType::kF64, none);
  CHECK(back.as<double>()[2] == -2);
  CHECK(none == 0);
  CHECK(code_of([&] { io::cast(array_of<std::int64_t>(DType::kI64, {1}, {1}), DType::kF32, none); }) == Exit::kFailure);
}
