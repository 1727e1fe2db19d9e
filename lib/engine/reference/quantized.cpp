// QuantizeLinear and DequantizeLinear
#include <ATen/ATen.h>

#include "engine/reference/call.h"

namespace ds::reference::quantized {

using Values = std::vector<at::Tensor>;

/// A scale or a zero point, laid along the axis that it is for.
at::Tensor along(const Call& c, const at::Tensor& value) {
  if (value.numel() == 1) return value.reshape({});
  if (value.dim() != 1) c.fail("has a scale a block");
  std::vector<std::int64_t> shape(static_cast<std::size_t>(c.in().dim()), 1);
  shape[static_cast<std::size_t>(c.axis(c.i("axis", 1), c.in().dim()))] = value.numel();
  return value.reshape(shape);
}

Values quantize(const Call& c) {
  const at::ScalarType type = c.has(2) ? c.in(2).scalar_type() : at::kByte;
  if (type != at::kByte && type != at::kChar) c.fail("rounds to another type than 8 bits");
  at::Tensor y = at::round(c.in().div(along(c, c.in(1))));  // half to even
  if (c.has(2)) y = y.add(along(c, c.in(2)).to(y.scalar_type()));
  return {(type == at::kByte ? y.clamp(0, 255) : y.clamp(-128, 127)).to(type)};
}

Values dequantize(const Call& c) {
  at::Tensor x = c.in().to(at::kInt);
  if (c.has(2)) x = x.sub(along(c, c.in(2)).to(at::kInt));
  return {x.to(c.in(1).scalar_type()).mul(along(c, c.in(1)))};
}

const core::Body<NodeOp> bodies[] = {{"onnx-reference", "QuantizeLinear", quantize}, {"onnx-reference", "DequantizeLinear", dequantize}};

}  // namespace ds::reference::quantized
