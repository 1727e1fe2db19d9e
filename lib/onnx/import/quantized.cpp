// int8 ops in the QDQ form that we write: bytes of 0..127 with a Clip that holds them there
#include <fmt/format.h>

#include <cmath>

#include "onnx/import/patterns.h"

namespace ds::onnx::imports::quantized {

using graph::Json;

/// Scale and zero point of one number each; nothing where they are other.
struct Scale {
  double scale = 0;
  std::int64_t zero = 0;
  bool good = false;
};

Scale scale_of(const Reader& r, const pb::NodeProto* node) {
  if (node == nullptr || node->input_size() != 3) return {};
  const Known &scale = r.known(node->input(1)), &zero = r.known(node->input(2));
  if (scale.kind != Known::kConstant || scale.array.numel() != 1 || zero.kind != Known::kConstant) return {};
  if (zero.array.numel() != 1 || zero.array.dtype != io::DType::kU8) return {};
  const Scale found{std::stod(fmt::format("{}", static_cast<float>(io::element(scale.array, 0)))), static_cast<std::int64_t>(io::element(zero.array, 0)), true};
  return found.scale > 0 && found.zero <= 127 ? found : Scale{};
}

/// A value of bytes behind a DequantizeLinear.
struct Bytes {
  std::string value;
  Scale scale;
};

Bytes bytes_of(const Reader& r, const std::string& value) {
  const pb::NodeProto* node = r.made_by(value, "DequantizeLinear");
  const Scale scale = scale_of(r, node);
  if (!scale.good || r.known(node->input(0)).kind != Known::kValue || r.type_of(r.known(node->input(0)).value).dtype != io::DType::kU8) return {};
  return {r.known(node->input(0)).value, scale};
}

void put_scale(Json& attrs, const std::string& prefix, const Scale& scale) {
  attrs[prefix + "scale"] = scale.scale;
  attrs[prefix + "zero_point"] = scale.zero;
}

/// The int8 op of a Conv or Gemm.
struct Weighted {
  std::string op, x, name;
  Json attrs = Json::object();
  std::map<std::string, graph::Slot> slots;
  bool good = false;
};

Weighted weighted(Reader& r, const pb::NodeProto* node) {
  Weighted w;
  if (node == nullptr || node->input_size() < 2 || (node->op_type() != "Conv" && node->op_type() != "Gemm")) return w;
  Reader inner(r.importer(), *node);
  const Bytes x = bytes_of(r, node->input(0));
  const pb::NodeProto* dq = r.made_by(node->input(1), "DequantizeLinear");
  if (x.value.empty() || dq == nullptr || dq->input_size() < 2) return w;
  const Known &weight = r.known(dq->input(0)), &scale = r.known(dq->input(1));
  if (weight.kind != Known::kConstant || weight.array.dtype != io::DType::kI8 || scale.kind != Known::kConstant || scale.array.shape.size() != 1 ||
      scale.array.shape[0] != weight.array.shape[0])
    return w;
  w.x = x.value;
  put_scale(w.attrs, "x_", x.scale);
  w.slots = {{"weight", r.tensor(weight.array, weight.name)}, {"weight_scale", r.tensor(scale.array, scale.name, graph::Role::kBuffer)}};
  if (node->input_size() > 2 && !node->input(2).empty()) {
    const pb::NodeProto* bias_dq = r.made_by(node->input(2), "DequantizeLinear");
    if (bias_dq == nullptr || r.known(bias_dq->input(0)).kind != Known::kConstant || r.known(bias_dq->input(0)).array.dtype != io::DType::kI32) return w;
    w.slots["bias"] = r.tensor(r.known(bias_dq->input(0)).array, r.known(bias_dq->input(0)).name);
  }
  if (node->op_type() == "Gemm") {
    if (inner.i("transB", 0) != 1 || weight.array.shape.size() != 2) return w;
    w.op = "qlinear";
    w.attrs["out_features"] = weight.array.shape[0];
  } else {
    if (weight.array.shape.size() != 4) return w;
    const std::vector<std::int64_t> pads = inner.ints("pads", {0, 0, 0, 0});
    if (pads.size() != 4) return w;
    w.op = "qconv2d";
    w.attrs.update({{"out_channels", weight.array.shape[0]}, {"kernel", {weight.array.shape[2], weight.array.shape[3]}},
                    {"stride", inner.ints("strides", {1, 1})}, {"dilation", inner.ints("dilations", {1, 1})}, {"groups", inner.i("group", 1)},
                    {"padding", pads[0] == pads[2] && pads[1] == pads[3] ? std::vector<std::int64_t>{pads[0], pads[1]} : pads}});
  }
  w.name = weight.name.ends_with(".weight") ? weight.name.substr(0, weight.name.size() - 7) : "";
  w.good = true;
  return w;
}

bool pooled(Reader& r, const std::string& y, Json& attrs) {
  if (const pb::NodeProto* pool = r.made_by(y, "GlobalAveragePool")) {
    const Bytes x = bytes_of(r, pool->input(0));
    if (x.value.empty()) return false;
    put_scale(attrs, "x_", x.scale);
    r.set("qglobal_avg_pool", {x.value}, attrs);
    return true;
  }
  const pb::NodeProto* pool = r.made_by(y, "AveragePool");
  const Bytes x = pool == nullptr ? Bytes{} : bytes_of(r, pool->input(0));
  if (x.value.empty()) return false;
  Reader inner(r.importer(), *pool);
  const std::vector<std::int64_t> pads = inner.ints("pads", {0, 0, 0, 0});
  if (pads.size() != 4 || pads[0] != pads[2] || pads[1] != pads[3]) return false;
  put_scale(attrs, "x_", x.scale);
  attrs.update({{"kernel", inner.ints("kernel_shape", {})}, {"stride", inner.ints("strides", {1, 1})}, {"padding", {pads[0], pads[1]}},
                {"count_include_pad", inner.i("count_include_pad", 0) != 0}});
  r.set("qavg_pool2d", {x.value}, attrs);
  return true;
}

bool two_values(Reader& r, const std::string& y, const Json& result, bool relu) {
  const pb::NodeProto *add = r.made_by(y, "Add"), *mul = r.made_by(y, "Mul");
  const pb::NodeProto* node = add != nullptr ? add : mul;
  if (node == nullptr || node->input_size() != 2) return false;
  const Bytes a = bytes_of(r, node->input(0)), b = bytes_of(r, node->input(1));
  if (a.value.empty() || b.value.empty() || (mul != nullptr && relu)) return false;
  Json attrs = result;
  put_scale(attrs, "a_", a.scale);
  put_scale(attrs, "b_", b.scale);
  if (add != nullptr) attrs["relu"] = relu;
  r.set(add != nullptr ? "qadd" : "qmul", {a.value, b.value}, attrs);
  return true;
}

void quantize_linear(Reader&) {}  // the Clip behind it looks back

/// Weights become float tensors, for float ops; bytes a value.
void dequantize_linear(Reader& r) {
  const Known& known = r.in(0);
  if (known.kind == Known::kNothing) return;
  if (known.kind == Known::kValue) {
    const Scale scale = scale_of(r, &r.node());
    if (!scale.good) r.fail("has a scale an axis, or no uint8 zero point of at most 127");
    Json attrs = Json::object();
    put_scale(attrs, "", scale);
    return r.set("dequantize", {known.value}, attrs);
  }
  // Weights in bytes: the op that reads them looks back.
}

const core::Body<ImportOp> bodies[] = {{"onnx-import", "QuantizeLinear", quantize_linear}, {"onnx-import", "DequantizeLinear", dequantize_linear}};

}  // namespace ds::onnx::imports::quantized

namespace ds::onnx::imports {

bool quantized_weights(Reader& r) {
  quantized::Weighted w = quantized::weighted(r, &r.node());
  if (!w.good) return false;
  w.attrs["dequantize"] = true;
  r.set(w.op, {w.x}, w.attrs, w.slots, {"bias"}, w.name);
  return true;
}

bool quantized_before(Reader& r) {
  using namespace quantized;
  const pb::NodeProto* q = r.node().input_size() == 3 ? r.made_by(r.node().input(0), "QuantizeLinear") : nullptr;
  if (q == nullptr) return false;
  const Scale scale = scale_of(r, q);
  const auto least = static_cast<std::int64_t>(r.number(1)), most = static_cast<std::int64_t>(r.number(2));
  if (!scale.good || most != 127 || (least != 0 && least != scale.zero)) r.fail("holds bytes in another range than 0 to 127");
  const bool relu = least > 0;
  const std::string& y = q->input(0);
  Json result = Json::object();
  put_scale(result, "y_", scale);
  const pb::NodeProto* add = r.made_by(y, "Add");
  for (int i = 0; i < (add == nullptr ? 1 : 2); ++i) {
    const std::string& product = add == nullptr ? y : add->input(i);
    const pb::NodeProto* node = r.made_by(product, "Conv");
    Weighted w = weighted(r, node != nullptr ? node : r.made_by(product, "Gemm"));
    if (!w.good) continue;
    std::vector<std::string> inputs{w.x};
    if (add != nullptr) {
      const Bytes residual = bytes_of(r, add->input(1 - i));
      if (residual.value.empty()) continue;
      inputs.push_back(residual.value);
      put_scale(w.attrs, "residual_", residual.scale);
    }
    w.attrs.update(result);
    w.attrs["relu"] = relu;
    r.set(w.op, inputs, w.attrs, w.slots, {"bias"}, w.name);
    return true;
  }
  if (two_values(r, y, result, relu) || pooled(r, y, result)) return true;
  if (relu || r.known(y).kind != Known::kValue) r.fail("rounds what is no int8 op that is known");
  Json attrs = Json::object();
  put_scale(attrs, "", scale);
  r.set("quantize", {r.known(y).value}, attrs);
  return true;
}

}  // namespace ds::onnx::imports
