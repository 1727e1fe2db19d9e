// Functions of one element, arithmetic and comparisons with broadcasting
#include <ATen/ATen.h>

#include <utility>

#include "engine/reference/call.h"

namespace ds::reference::elementwise {

using Values = std::vector<at::Tensor>;

template <at::Tensor (*function)(const at::Tensor&)>
Values unary(const Call& c) { return {function(c.in())}; }

template <at::Tensor (*function)(const at::Tensor&, const at::Tensor&)>
Values binary(const Call& c) { return {function(c.in(0), c.in(1))}; }

/// One input or more.
template <at::Tensor (*function)(const at::Tensor&, const at::Tensor&)>
Values several(const Call& c) {
  at::Tensor y = c.in(0);
  for (std::size_t i = 1; i < c.inputs(); ++i) y = function(y, c.in(i));
  return {y};
}

at::Tensor add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor sub(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor pow(const at::Tensor& a, const at::Tensor& b) { return at::pow(a, b.to(a.scalar_type())); }

/// Of integers towards zero.
at::Tensor div(const at::Tensor& a, const at::Tensor& b) { return at::isIntegralType(a.scalar_type(), true) ? at::div(a, b, "trunc") : at::div(a, b); }

Values mod(const Call& c) { return {c.i("fmod", 0) != 0 ? at::fmod(c.in(0), c.in(1)) : at::remainder(c.in(0), c.in(1))}; }
Values leaky_relu(const Call& c) { return {at::leaky_relu(c.in(), c.f("alpha", 0.01))}; }
Values elu(const Call& c) { return {at::elu(c.in(), c.f("alpha", 1))}; }
Values gelu(const Call& c) { return {at::gelu(c.in(), c.s("approximate", "none"))}; }

Values hard_sigmoid(const Call& c) { return {c.in().mul(c.f("alpha", 0.2)).add(c.f("beta", 0.5)).clamp(0, 1)}; }
Values hard_swish(const Call& c) { return {c.in().mul(c.in().mul(1.0 / 6).add(0.5).clamp(0, 1))}; }

Values clip(const Call& c) {
  at::Tensor y = c.in();
  if (c.stated("min")) y = y.clamp_min(c.f("min", 0));
  if (c.stated("max")) y = y.clamp_max(c.f("max", 0));
  if (c.has(1)) y = at::maximum(y, c.in(1));
  if (c.has(2)) y = at::minimum(y, c.in(2));
  return {y};
}

/// Before opset 13 over all axes from `axis` on as over one.
Values softmax(const Call& c) {
  const at::Tensor& x = c.in();
  if (c.opset() >= 13) return {at::softmax(x, c.i("axis", -1))};
  const std::int64_t axis = c.axis(c.i("axis", 1), x.dim());
  return {at::softmax(x.flatten(axis), -1).view(x.sizes())};
}

/// ONNX's numbers of types.
constexpr std::pair<std::int64_t, at::ScalarType> kTypes[] = {{1, at::kFloat}, {2, at::kByte},  {3, at::kChar},  {5, at::kShort},  {6, at::kInt},
                                                              {7, at::kLong},  {9, at::kBool}, {10, at::kHalf}, {11, at::kDouble}, {16, at::kBFloat16}};

Values cast(const Call& c) {
  for (const auto& [number, type] : kTypes)
    if (number == c.i("to", 0)) return {c.in().to(type)};
  c.fail("casts to type " + std::to_string(c.i("to", 0)));
}

Values cast_like(const Call& c) { return {c.in(0).to(c.in(1).scalar_type())}; }
Values where(const Call& c) { return {at::where(c.in(0), c.in(1), c.in(2))}; }
Values pass(const Call& c) { return {c.in()}; }
Values logical_not(const Call& c) { return {c.in().logical_not()}; }

const core::Body<NodeOp> bodies[] = {
    {"onnx-reference", "Add", binary<add>},
    {"onnx-reference", "Sub", binary<sub>},
    {"onnx-reference", "Mul", binary<at::mul>},
    {"onnx-reference", "Div", binary<div>},
    {"onnx-reference", "Pow", binary<pow>},
    {"onnx-reference", "Mod", mod},
    {"onnx-reference", "Max", several<at::maximum>},
    {"onnx-reference", "Min", several<at::minimum>},
    {"onnx-reference", "Sum", several<add>},
    {"onnx-reference", "Neg", unary<at::neg>},
    {"onnx-reference", "Abs", unary<at::abs>},
    {"onnx-reference", "Sqrt", unary<at::sqrt>},
    {"onnx-reference", "Reciprocal", unary<at::reciprocal>},
    {"onnx-reference", "Exp", unary<at::exp>},
    {"onnx-reference", "Log", unary<at::log>},
    {"onnx-reference", "Sin", unary<at::sin>},
    {"onnx-reference", "Cos", unary<at::cos>},
    {"onnx-reference", "Erf", unary<at::erf>},
    {"onnx-reference", "Floor", unary<at::floor>},
    {"onnx-reference", "Ceil", unary<at::ceil>},
    {"onnx-reference", "Round", unary<at::round>},
    {"onnx-reference", "Sign", unary<at::sign>},
    {"onnx-reference", "IsNaN", unary<at::isnan>},
    {"onnx-reference", "Relu", unary<at::relu>},
    {"onnx-reference", "Sigmoid", unary<at::sigmoid>},
    {"onnx-reference", "Tanh", unary<at::tanh>},
    {"onnx-reference", "LeakyRelu", leaky_relu},
    {"onnx-reference", "Elu", elu},
    {"onnx-reference", "Gelu", gelu},
    {"onnx-reference", "HardSigmoid", hard_sigmoid},
    {"onnx-reference", "HardSwish", hard_swish},
    {"onnx-reference", "Clip", clip},
    {"onnx-reference", "Softmax", softmax},
    {"onnx-reference", "Cast", cast},
    {"onnx-reference", "CastLike", cast_like},
    {"onnx-reference", "Where", where},
    {"onnx-reference", "Identity", pass},
    {"onnx-reference", "Dropout", pass},
    {"onnx-reference", "Not", logical_not},
    {"onnx-reference", "And", binary<at::logical_and>},
    {"onnx-reference", "Or", binary<at::logical_or>},
    {"onnx-reference", "Xor", binary<at::logical_xor>},
    {"onnx-reference", "Equal", binary<at::eq>},
    {"onnx-reference", "Less", binary<at::lt>},
    {"onnx-reference", "LessOrEqual", binary<at::le>},
    {"onnx-reference", "Greater", binary<at::gt>},
    {"onnx-reference", "GreaterOrEqual", binary<at::ge>}};

}  // namespace ds::reference::elementwise
