// int8 ops in QDQ form: float ops between DequantizeLinear and QuantizeLinear. Activations are uint8 of which we use 0..127: a Clip on the bytes
// holds them there, and is the ReLU too, since a value below the zero point stands for one below 0.
#include <algorithm>
#include <cmath>

#include "onnx/ops/common.h"

namespace ds::onnx::ops::quantized {

std::string to_float(Emitter& e, const std::string& x, const std::string& prefix, const std::string& to = "") {
  return e.add("DequantizeLinear", {x, e.number(e.view().f(prefix + "scale")), e.byte(e.view().i(prefix + "zero_point"))}, {}, to);
}

void to_bytes(Emitter& e, const std::string& x, const std::string& prefix, bool relu, const std::string& to) {
  const std::int64_t zero = e.view().i(prefix + "zero_point");
  const std::string bytes = e.add("QuantizeLinear", {x, e.number(e.view().f(prefix + "scale")), e.byte(zero)});
  e.add("Clip", {bytes, e.byte(relu ? zero : 0), e.byte(127)}, {}, to);
}

io::Array filled(io::DType dtype, std::int64_t n) {
  io::Array array = io::make_array(dtype, {n});
  std::fill_n(array.data, array.bytes(), std::byte{0});
  return array;
}

/// int8 weights with a scale an output channel.
std::string weight(Emitter& e) {
  const std::int64_t out = e.view().slot_shape("weight")[0];
  return e.add("DequantizeLinear", {e.slot("weight"), e.slot("weight_scale"), e.constant(filled(io::DType::kI8, out))}, {{"axis", 0}});
}

/// int32 bias of scale x_scale * weight_scale; "" where there is none.
std::string bias(Emitter& e) {
  if (!e.view().has_slot("bias")) return "";
  const io::Array& scales = e.array("weight_scale");
  io::Array products = io::make_array(io::DType::kF32, scales.shape);
  for (std::int64_t i = 0; i < scales.numel(); ++i) products.as<float>()[i] = static_cast<float>(e.view().f("x_scale") * io::element(scales, i));
  return e.add("DequantizeLinear", {e.slot("bias"), e.constant(products), e.constant(filled(io::DType::kI32, scales.numel()))}, {{"axis", 0}});
}

/// The function that a layer's attribute `activation` names.
std::string function(Emitter& e, const std::string& x, const std::string& name) {
  if (name == "silu") return e.add("Mul", {x, e.add("Sigmoid", {x})});
  if (name == "hardsigmoid") return e.add("HardSigmoid", {x}, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
  if (name.starts_with("gelu")) return gelu(e, x, name == "gelu_tanh");
  return e.add(name == "hardswish" ? "HardSwish" : name == "sigmoid" ? "Sigmoid" : "Tanh", {x});
}

/// What is behind the sum of products: residual, a function, ReLU, rounding.
void finish(Emitter& e, std::string y) {
  if (e.inputs() > 1) y = e.add("Add", {y, to_float(e, e.in(1), "residual_")});
  if (const std::string name = e.view().s("activation"); name != "none") y = function(e, y, name);
  if (!e.view().b("dequantize")) return to_bytes(e, y, "y_", e.view().b("relu"), e.out());
  if (e.view().b("relu")) e.add("Relu", {y}, {}, e.out());
  else e.pass(y);
}

void qconv2d(Emitter& e) {
  finish(e, e.add("Conv", {to_float(e, e.in(), "x_"), weight(e), bias(e)}, window_attributes(e.view(), /*conv=*/true)));
}

void qlinear(Emitter& e) {
  const std::string x = to_float(e, e.in(), "x_");
  const std::string w = weight(e), b = bias(e);
  if (e.type().dims.size() == 2) return finish(e, e.add("Gemm", {x, w, b}, {{"transB", 1}}));
  const std::string y = e.add("MatMul", {x, e.add("Transpose", {w}, {{"perm", {1, 0}}})});
  finish(e, b.empty() ? y : e.add("Add", {y, b}));
}

void qadd(Emitter& e) { to_bytes(e, e.add("Add", {to_float(e, e.in(0), "a_"), to_float(e, e.in(1), "b_")}), "y_", e.view().b("relu"), e.out()); }

void qmul(Emitter& e) { to_bytes(e, e.add("Mul", {to_float(e, e.in(0), "a_"), to_float(e, e.in(1), "b_")}), "y_", false, e.out()); }

void quantize(Emitter& e) { to_bytes(e, e.in(), "", false, e.out()); }
void dequantize(Emitter& e) { to_float(e, e.in(), "", e.out()); }

void fake_quantize(Emitter& e) {
  const std::string bytes = e.add("QuantizeLinear", {e.in(), e.number(e.view().f("scale")), e.byte(e.view().i("zero_point"))});
  to_float(e, e.add("Clip", {bytes, e.byte(0), e.byte(127)}), "", e.out());
}

void qmax_pool2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/false);
  if (e.view().b("ceil_mode")) attributes.emplace("ceil_mode", 1);
  e.add("MaxPool", {e.in()}, attributes, e.out());
}

void qavg_pool2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/false);
  attributes.emplace("count_include_pad", e.view().b("count_include_pad") ? 1 : 0);
  to_bytes(e, e.add("AveragePool", {to_float(e, e.in(), "x_")}, attributes), "y_", false, e.out());
}

void qglobal_avg_pool(Emitter& e) { to_bytes(e, e.add("GlobalAveragePool", {to_float(e, e.in(), "x_")}), "y_", false, e.out()); }

/// Float weights rounded as the int8 lowering rounds them: a scale of max |w| / 127 an output channel.
/// @param axis that of the output channels
std::string rounded_weight(Emitter& e, std::int64_t axis) {
  const io::Array& w = e.array("weight");
  const std::int64_t out = w.shape[static_cast<std::size_t>(axis)];
  std::int64_t inner = 1;
  for (std::size_t i = static_cast<std::size_t>(axis) + 1; i < w.shape.size(); ++i) inner *= w.shape[i];
  std::vector<double> most(static_cast<std::size_t>(out), 0);
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    double& m = most[static_cast<std::size_t>(i / inner % out)];
    m = std::max(m, std::abs(io::element(w, i)));
  }
  io::Array scale = io::make_array(io::DType::kF32, {out});
  for (std::int64_t o = 0; o < out; ++o) scale.as<float>()[o] = std::max(static_cast<float>(most[static_cast<std::size_t>(o)]) / 127, 1e-12f);
  const std::string s = e.constant(scale), zero = e.constant(filled(io::DType::kI8, out));
  return e.add("DequantizeLinear", {e.add("QuantizeLinear", {e.slot("weight"), s, zero}, {{"axis", axis}}), s, zero}, {{"axis", axis}});
}

void fake_conv2d(Emitter& e) {
  e.add("Conv", {e.in(), rounded_weight(e, 0), e.slot("bias")}, window_attributes(e.view(), /*conv=*/true), e.out());
}

void fake_linear(Emitter& e) {
  const bool transposed = e.view().b("transposed");
  linear(e, e.in(), rounded_weight(e, transposed ? 1 : 0), e.slot("bias"), transposed, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "qconv2d", qconv2d},
                                       {"onnx", "qlinear", qlinear},
                                       {"onnx", "qadd", qadd},
                                       {"onnx", "qmul", qmul},
                                       {"onnx", "quantize", quantize},
                                       {"onnx", "dequantize", dequantize},
                                       {"onnx", "fake_quantize", fake_quantize},
                                       {"onnx", "qmax_pool2d", qmax_pool2d},
                                       {"onnx", "qavg_pool2d", qavg_pool2d},
                                       {"onnx", "qglobal_avg_pool", qglobal_avg_pool},
                                       {"onnx", "fake_conv2d", fake_conv2d},
                                       {"onnx", "fake_linear", fake_linear}};

}  // namespace ds::onnx::ops::quantized
