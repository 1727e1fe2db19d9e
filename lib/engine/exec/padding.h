// Padding of a convolution: [height, width], or [top, left, bottom, right], which ATen's convolution does not take.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "base/graph/schema.h"

namespace ds::exec {

class Padding {
 public:
  explicit Padding(const graph::NodeView& view);
  std::int64_t top, left, bottom, right;
  /// x [N, C, H, W] with zeros around it where opposite sides differ, else as it is.
  at::Tensor around(const at::Tensor& x) const;
  /// What is left for the convolution to add to both sides: [height, width].
  std::vector<std::int64_t> rest() const;

 private:
  bool even() const { return top == bottom && left == right; }
};

}  // namespace ds::exec
