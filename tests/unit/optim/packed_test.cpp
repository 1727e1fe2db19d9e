#include "engine/optim/packed.h"

#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

using namespace ds;
using optim::Packed;

TEST_CASE("optim: a packed tensor begins with zeros, keeps 0 and the largest of a block, and is near everywhere else") {
  for (const int bits : {16, 8})
    for (const bool is_signed : {true, false}) {
      CAPTURE(bits);
      CAPTURE(is_signed);
      const at::Tensor x = at::linspace(is_signed ? -2 : 0, 3, 1000), back = at::full({1000}, 7.0);
      Packed packed(x, bits, is_signed, "x");
      packed.unpack(0, back);
      CHECK(back.equal(at::zeros({1000})));
      packed.pack(0, x, 1);
      packed.unpack(0, back);
      CHECK(back[999].item<float>() == doctest::Approx(3).epsilon(bits == 16 ? 0.01 : 1e-6));
      // bfloat16 may go up a step of 2^-7; the nearest code is within half of 0.9/64 of a block's largest, unsigned of 0.9/128; the first code is -0.993.
      const at::Tensor error = back.sub(x).abs();
      CHECK(error.max().item<float>() <= (bits == 16 ? 3 * 0x1p-7 : is_signed ? 3 * 0.45 / 64 + 1e-6 : 3 * 0.45 / 128 + 1e-6));
      packed.pack(0, at::zeros({1000}), 2);
      packed.unpack(0, back);
      CHECK(back.equal(at::zeros({1000})));
    }
}

TEST_CASE("optim: 16 bits are rounded by chance: the mean over steps is the number, and steps may be done anew") {
  const std::int64_t n = 512;
  const at::Tensor x = at::full({n}, 0.70123);
  Packed packed(x, 16, false, "x"), again(x, 16, false, "x"), other(x, 16, false, "y");
  at::Tensor sum = at::zeros({n}, at::kDouble), back = at::zeros({n});
  const int steps = 400;
  for (int step = 0; step < steps; ++step) {
    packed.pack(0, x, step);
    packed.unpack(0, back);
    sum.add_(back);
  }
  // Values are 2^-8 apart there: the mean of 400 x 512 draws has a deviation of at most 2^-9 / sqrt(204,800) = 4e-6.
  CHECK(sum.mean().item<double>() / steps == doctest::Approx(0.70123).epsilon(4e-5));
  again.pack(0, x, steps - 1), other.pack(0, x, steps - 1);
  CHECK(again.codes.equal(packed.codes));
  CHECK_FALSE(other.codes.equal(packed.codes));
}

TEST_CASE("optim: what an update divides by is never rounded to 0") {
  at::Tensor x = at::full({256}, 1e-12);
  x[0] = 1;
  Packed packed(x, 8, false, "v");
  at::Tensor back = at::zeros({256});
  packed.pack(0, x, 1);
  packed.unpack(0, back);
  CHECK(back.min().item<float>() > 0);
}
