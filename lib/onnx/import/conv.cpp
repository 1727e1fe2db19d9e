// Conv, ConvTranspose, Gemm, MatMul with weights
#include <fmt/format.h>

#include "onnx/import/patterns.h"

namespace ds::onnx::imports::conv {

using graph::Json;

/// [top, left, bottom, right] of a node with a window.
std::vector<std::int64_t> pads(Reader& r, const std::vector<std::int64_t>& kernel, const std::vector<std::int64_t>& stride,
                               const std::vector<std::int64_t>& dilation) {
  const std::string automatic = r.s("auto_pad", "NOTSET");
  std::vector<std::int64_t> pads = r.ints("pads", std::vector<std::int64_t>(2 * kernel.size(), 0));
  if (automatic == "VALID") return std::vector<std::int64_t>(2 * kernel.size(), 0);
  if (automatic == "NOTSET" || automatic.empty()) {
    if (pads.size() != 2 * kernel.size()) r.fail(fmt::format("has {} pads for {} axes", pads.size(), kernel.size()));
    return pads;
  }
  const graph::ValueType& x = r.type(0);
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    if (2 + i >= x.dims.size() || !x.dims[2 + i].is_known()) r.fail(fmt::format("has auto_pad {} on an axis of unknown size", automatic));
    const std::int64_t size = x.dims[2 + i].value(), out = (size + stride[i] - 1) / stride[i];
    const std::int64_t total = std::max<std::int64_t>(0, (out - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - size);
    const std::int64_t less = total / 2;
    pads[i] = automatic == "SAME_LOWER" ? total - less : less;
    pads[kernel.size() + i] = total - pads[i];
  }
  return pads;
}

/// Attributes that all convolutions share; `rank` is that of the image, 1 or 2.
struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, pads;
  std::int64_t groups;
};

Window window(Reader& r, const io::Array& weight) {
  if (weight.shape.size() != 3 && weight.shape.size() != 4)
    r.fail(fmt::format("has weights of {} axes, read are 1-D and 2-D convolutions", weight.shape.size()));
  const std::size_t rank = weight.shape.size() - 2;
  Window w;
  w.kernel = {weight.shape.begin() + 2, weight.shape.end()};
  w.stride = r.ints("strides", std::vector<std::int64_t>(rank, 1));
  w.dilation = r.ints("dilations", std::vector<std::int64_t>(rank, 1));
  w.groups = r.i("group", 1);
  if (w.stride.size() != rank || w.dilation.size() != rank) r.fail(fmt::format("has strides or dilations of another number of axes than {}", rank));
  w.pads = pads(r, w.kernel, w.stride, w.dilation);
  if (w.pads.size() != 2 * rank) r.fail(fmt::format("has {} pads for {} axes", w.pads.size(), rank));
  return w;
}

const io::Array& weight_of(Reader& r) {
  if (!r.is_constant(1)) r.fail("has weights that the file does not hold");
  return r.in(1).array;
}

void conv(Reader& r) {
  if (quantized_weights(r)) return;
  const io::Array& weight = weight_of(r);
  const Window w = window(r, weight);
  std::map<std::string, graph::Slot> slots{{"weight", r.tensor(1)}};
  if (r.has(2)) slots["bias"] = r.tensor(2);
  Json attrs = {{"out_channels", weight.shape[0]}, {"groups", w.groups}};
  if (w.kernel.size() == 1) {
    attrs.update({{"kernel", w.kernel[0]}, {"stride", w.stride[0]}, {"dilation", w.dilation[0]}, {"padding", w.pads}});
    return r.set("conv1d", {r.value(0)}, attrs, slots, {"bias"}, r.name_by_weight(1));
  }
  const bool even = w.pads[0] == w.pads[2] && w.pads[1] == w.pads[3];
  attrs.update({{"kernel", w.kernel}, {"stride", w.stride}, {"dilation", w.dilation},
                {"padding", even ? std::vector<std::int64_t>{w.pads[0], w.pads[1]} : w.pads}});
  r.set("conv2d", {r.value(0)}, attrs, slots, {"bias"}, r.name_by_weight(1));
}

void conv_transpose(Reader& r) {
  const io::Array& weight = weight_of(r);
  if (r.attribute("output_shape")) r.fail("states output_shape, expected pads and output_padding");
  const Window w = window(r, weight);
  if (w.kernel.size() != 2 || w.pads[0] != w.pads[2] || w.pads[1] != w.pads[3]) r.fail("is not a 2-D one with equal padding on opposite sides");
  std::map<std::string, graph::Slot> slots{{"weight", r.tensor(1)}};
  if (r.has(2)) slots["bias"] = r.tensor(2);
  r.set("conv_transpose2d", {r.value(0)},
        {{"out_channels", weight.shape[1] * w.groups}, {"groups", w.groups}, {"kernel", w.kernel}, {"stride", w.stride}, {"dilation", w.dilation},
         {"padding", {w.pads[0], w.pads[1]}}, {"output_padding", r.ints("output_padding", {0, 0})}},
        slots, {"bias"}, r.name_by_weight(1));
}

/// A bias of one number a feature, however many axes of size 1 it has before.
std::optional<io::Array> as_bias(const Known& known, std::int64_t features) {
  if (known.kind != Known::kConstant || known.array.numel() != features) return std::nullopt;
  if (known.array.shape.empty() || known.array.shape.back() != features) return std::nullopt;
  io::Array array = known.array;
  array.shape = {features};
  return array;
}

/// The linear layer that a Gemm is, of another value than its own where `x` says one.
void gemm_of(Reader& r, const std::string& x, Reader& result) {
  if (r.f("alpha", 1) != 1 || (r.has(2) && r.f("beta", 1) != 1) || r.i("transA", 0) != 0) r.fail("has alpha, beta or transA, expected x W + b");
  const io::Array& weight = weight_of(r);
  if (weight.shape.size() != 2) r.fail(fmt::format("has weights of {} axes, expected 2", weight.shape.size()));
  const bool transposed = r.i("transB", 0) == 0;
  const std::int64_t out = weight.shape[transposed ? 1 : 0];
  std::map<std::string, graph::Slot> slots{{"weight", r.tensor(1)}};
  if (r.has(2)) {
    const auto bias = as_bias(r.in(2), out);
    if (!bias) r.fail(fmt::format("has an input C that is no bias of {} features", out));
    slots["bias"] = r.tensor(*bias, r.in(2).name);
  }
  result.set("linear", {x}, {{"out_features", out}, {"transposed", transposed}}, slots, {"bias"}, r.name_by_weight(1));
}

void gemm(Reader& r) {
  if (!quantized_weights(r)) gemm_of(r, r.value(0), r);
}

/// x W, with the bias that is added behind it.
void matmul(Reader& r) {
  if (!r.is_constant(1)) return;  // of two values: part of attention, which looks back
  const Known& known = r.in(1);
  if (known.array.shape.size() != 2) r.fail(fmt::format("has weights of {} axes, expected 2", known.array.shape.size()));
  const pb::NodeProto* turned = r.made_by(r.node().input(1), "Transpose");  // ours: the tensor as it is stored
  const bool as_stored = turned != nullptr && r.known(turned->input(0)).kind == Known::kConstant;
  const Known& stored = as_stored ? r.known(turned->input(0)) : known;
  const std::int64_t out = known.array.shape[1];
  std::map<std::string, graph::Slot> slots{{"weight", r.tensor(stored.array, stored.name)}};
  const pb::NodeProto* next = r.only_user(r.node().output(0));
  bool with_bias = false;
  if (next != nullptr && next->op_type() == "Add" && next->input_size() == 2) {
    const Known& other = r.known(next->input(next->input(0) == r.node().output(0) ? 1 : 0));
    if (const auto bias = as_bias(other, out)) {
      slots["bias"] = r.tensor(*bias, other.name);
      with_bias = true;
    }
  }
  std::string name = stored.name;
  name = name.size() > 7 && name.ends_with(".weight") ? name.substr(0, name.size() - 7) : "";
  r.set("linear", {r.value(0)}, {{"out_features", out}, {"transposed", !as_stored}}, slots, {"bias"}, name);
  if (with_bias) r.swallow(*next);
}

const core::Body<ImportOp> bodies[] = {
    {"onnx-import", "Conv", conv}, {"onnx-import", "ConvTranspose", conv_transpose}, {"onnx-import", "Gemm", gemm}, {"onnx-import", "MatMul", matmul}};

}  // namespace ds::onnx::imports::conv

namespace ds::onnx::imports {

bool linear_before(Reader& r, const std::vector<graph::Dim>& to) {
  const pb::NodeProto* gemm = r.made_by(r.node().input(0), "Gemm");
  const pb::NodeProto* rows = gemm == nullptr || gemm->input_size() < 2 ? nullptr : r.made_by(gemm->input(0), "Reshape");
  if (rows == nullptr || r.known(rows->input(0)).kind != Known::kValue || r.known(gemm->input(1)).kind != Known::kConstant) return false;
  const std::string& x = r.known(rows->input(0)).value;
  const std::vector<graph::Dim>& from = r.type_of(x).dims;
  const std::vector<graph::Dim>& flat = r.type_of(r.known(rows->output(0)).value).dims;
  if (from.size() != to.size() || from.size() < 3 || flat.size() != 2 || !(flat[1] == from.back())) return false;
  for (std::size_t i = 0; i + 1 < from.size(); ++i)
    if (!(from[i] == to[i])) return false;
  Reader inner(r.importer(), *gemm);
  conv::gemm_of(inner, x, r);
  return true;
}

}  // namespace ds::onnx::imports
