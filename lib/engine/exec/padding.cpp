#include "engine/exec/padding.h"

#include <ATen/ops/constant_pad_nd.h>

namespace ds::exec {

Padding::Padding(const graph::NodeView& view) {
  const std::vector<std::int64_t> p = view.ints("padding");
  top = p[0], left = p[1], bottom = p[p.size() - 2], right = p[p.size() - 1];
}

at::Tensor Padding::around(const at::Tensor& x) const { return even() ? x : at::constant_pad_nd(x, {left, right, top, bottom}, 0); }

std::vector<std::int64_t> Padding::rest() const { return even() ? std::vector<std::int64_t>{top, left} : std::vector<std::int64_t>{0, 0}; }

}  // namespace ds::exec
