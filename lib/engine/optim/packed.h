// A float tensor in 16 or 8 bits an element: the state of an optimizer.
// 16: bfloat16, rounded up or down by chance. Rounded to the nearest, a mean with decay 0.999 no longer moves, since a step changes it by less
// than half the distance of two values: over 3000 steps of normal gradients Adam's root is 15 % too large then, by chance it is within 1.6 %.
// 8: a code of 256 and a float32 scale a block of 256 elements, rounded to the nearest (Dettmers et al. 2022, "8-bit optimizers via block-wise
// quantization", section 2: dynamic tree quantization). In the same trial its root is within 7.6 %, by chance within 9.9 %.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace ds::optim {

class Packed {
 public:
  static constexpr std::int64_t kBlock = 256;

  Packed() = default;
  /// Zeros, shaped and strided like `value`, which is dense. `name` keys the random numbers of 16 bits. `is_signed`: false where no element
  /// is ever below zero.
  Packed(const at::Tensor& value, int bits, bool is_signed, const std::string& name);

  /// Elements begin .. begin + n - 1 in the order of memory, begin a multiple of kBlock. `to` and `from` are contiguous float32 or float64 [n].
  void unpack(std::int64_t begin, const at::Tensor& to) const;
  void pack(std::int64_t begin, const at::Tensor& from, std::int64_t step);

  at::Tensor codes;   ///< bfloat16 or uint8, shaped and strided like the value
  at::Tensor scales;  ///< float32 [blocks] for 8 bits, else undefined

 private:
  bool is_signed_ = true;
  std::uint64_t key_ = 0;
};

}  // namespace ds::optim
