// Convolutions, products, norms, pooling, reductions, resizing
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "engine/reference/call.h"

namespace ds::reference::layers {

using Values = std::vector<at::Tensor>;
using Sizes = std::vector<std::int64_t>;

struct Window {
  Sizes kernel, stride, dilation, before, after;
};

/// Of a node over the axes behind the second; auto_pad by the sizes of the input.
Window window(const Call& c, Sizes kernel) {
  const std::size_t rank = static_cast<std::size_t>(c.in().dim() - 2);
  Window w{std::move(kernel), c.ints("strides", Sizes(rank, 1)), c.ints("dilations", Sizes(rank, 1)), Sizes(rank, 0), Sizes(rank, 0)};
  if (w.kernel.size() != rank || w.stride.size() != rank || w.dilation.size() != rank) c.fail("has a window of another number of axes than its input");
  const std::string automatic = c.s("auto_pad", "NOTSET");
  const Sizes pads = c.ints("pads", Sizes(2 * rank, 0));
  if (pads.size() != 2 * rank) c.fail("has a pad for some sides alone");
  for (std::size_t i = 0; i < rank; ++i) {
    if (automatic == "NOTSET") w.before[i] = pads[i], w.after[i] = pads[rank + i];
    if (!automatic.starts_with("SAME")) continue;
    const std::int64_t size = c.in().size(static_cast<std::int64_t>(i) + 2), out = (size + w.stride[i] - 1) / w.stride[i];
    const std::int64_t total = std::max<std::int64_t>(0, (out - 1) * w.stride[i] + w.dilation[i] * (w.kernel[i] - 1) + 1 - size);
    w.before[i] = automatic == "SAME_LOWER" ? (total + 1) / 2 : total / 2;
    w.after[i] = total - w.before[i];
  }
  return w;
}

at::Tensor padded(const at::Tensor& x, const Window& w, double value, const Sizes& more = {}) {
  Sizes sides;
  for (std::size_t i = w.kernel.size(); i-- > 0;) sides.push_back(w.before[i]), sides.push_back(w.after[i] + (more.empty() ? 0 : more[i]));
  return std::all_of(sides.begin(), sides.end(), [](std::int64_t side) { return side == 0; }) ? x : at::constant_pad_nd(x, sides, value);
}

std::optional<at::Tensor> third(const Call& c) { return c.has(2) ? std::optional<at::Tensor>(c.in(2)) : std::nullopt; }

Values conv(const Call& c) {
  const Window w = window(c, c.in(1).sizes().slice(2).vec());
  const Sizes none(w.kernel.size(), 0);
  return {at::convolution(padded(c.in(), w, 0), c.in(1), third(c), w.stride, none, w.dilation, false, none, c.i("group", 1))};
}

Values conv_transpose(const Call& c) {
  if (c.stated("output_shape") || c.s("auto_pad", "NOTSET") != "NOTSET") c.fail("states output_shape or auto_pad");
  const Window w = window(c, c.in(1).sizes().slice(2).vec());
  const Sizes none(w.kernel.size(), 0);
  at::Tensor y = at::convolution(c.in(), c.in(1), third(c), w.stride, none, w.dilation, true, c.ints("output_padding", none), c.i("group", 1));
  for (std::size_t i = 0; i < w.kernel.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(i) + 2;
    y = y.slice(axis, w.before[i], y.size(axis) - w.after[i]);
  }
  return {y.contiguous()};
}

Values gemm(const Call& c) {
  const at::Tensor a = c.i("transA", 0) != 0 ? c.in(0).t() : c.in(0), b = c.i("transB", 0) != 0 ? c.in(1).t() : c.in(1);
  at::Tensor y = at::matmul(a, b);
  if (c.f("alpha", 1) != 1) y = y.mul(c.f("alpha", 1));
  if (c.has(2)) y = y.add(c.in(2), c.f("beta", 1));
  return {y};
}

Values matmul(const Call& c) { return {at::matmul(c.in(0), c.in(1))}; }

Values batch_norm(const Call& c) {
  if (c.i("training_mode", 0) != 0) c.fail("is in training mode");
  return {at::batch_norm(c.in(0), c.in(1), c.in(2), c.in(3), c.in(4), false, 0, c.f("epsilon", 1e-5), false)};
}

Values layer_norm(const Call& c) {
  const at::Tensor& x = c.in();
  return {at::layer_norm(x, x.sizes().slice(static_cast<std::size_t>(c.axis(c.i("axis", -1), x.dim()))), c.in(1), third(c), c.f("epsilon", 1e-5), false)};
}

Values instance_norm(const Call& c) { return {at::instance_norm(c.in(0), c.in(1), c.in(2), {}, {}, true, 0, c.f("epsilon", 1e-5), false)}; }

/// What ceil_mode adds behind, so that the last window begins within the input or its padding before.
Sizes more_behind(const Call& c, const Window& w) {
  Sizes more(w.kernel.size(), 0);
  if (c.i("ceil_mode", 0) == 0) return more;
  for (std::size_t i = 0; i < more.size(); ++i) {
    const std::int64_t size = c.in().size(static_cast<std::int64_t>(i) + 2), span = w.dilation[i] * (w.kernel[i] - 1) + 1;
    const std::int64_t room = size + w.before[i] + w.after[i] - span;
    std::int64_t windows = (room + w.stride[i] - 1) / w.stride[i] + 1;
    if ((windows - 1) * w.stride[i] >= size + w.before[i]) --windows;
    more[i] = std::max<std::int64_t>(0, (windows - 1) * w.stride[i] - room);
  }
  return more;
}

Values max_pool(const Call& c) {
  const Window w = window(c, c.ints("kernel_shape", {}));
  if (w.kernel.size() != 2 || c.outputs() > 1) c.fail("is not over two axes, or has an output of places");
  const bool floats = c.in().is_floating_point();
  const at::Tensor x = padded(floats ? c.in() : c.in().to(at::kFloat), w, -std::numeric_limits<float>::infinity(), more_behind(c, w));
  return {at::max_pool2d(x, w.kernel, w.stride, {0, 0}, w.dilation).to(c.in().scalar_type())};
}

Values average_pool(const Call& c) {
  const Window w = window(c, c.ints("kernel_shape", {}));
  if (w.kernel.size() != 2 || w.dilation != Sizes{1, 1} || c.i("ceil_mode", 0) != 0) c.fail("is not over two axes, or has dilations or ceil_mode");
  const at::Tensor sums = at::avg_pool2d(padded(c.in(), w, 0), w.kernel, w.stride);
  if (c.i("count_include_pad", 0) != 0) return {sums};
  const at::Tensor ones = at::ones({1, 1, c.in().size(2), c.in().size(3)}, c.in().options());
  return {sums.div(at::avg_pool2d(padded(ones, w, 0), w.kernel, w.stride))};
}

Sizes image_axes(const Call& c) {
  Sizes axes;
  for (std::int64_t i = 2; i < c.in().dim(); ++i) axes.push_back(i);
  return axes;
}

Values global_average_pool(const Call& c) { return {c.in().mean(image_axes(c), true)}; }
Values global_max_pool(const Call& c) { return {c.in().amax(image_axes(c), true)}; }

template <at::Tensor (*function)(const at::Tensor&, const Sizes&, bool)>
Values reduce(const Call& c) {
  Sizes axes = c.has(1) ? c.integers(1) : c.ints("axes", {});
  if (axes.empty()) {
    if (c.i("noop_with_empty_axes", 0) != 0) return {c.in()};
    for (std::int64_t i = 0; i < c.in().dim(); ++i) axes.push_back(i);
  }
  return {function(c.in(), axes, c.i("keepdims", 1) != 0).to(c.in().scalar_type())};
}

at::Tensor mean(const at::Tensor& x, const Sizes& axes, bool keep) { return x.mean(axes, keep); }
at::Tensor sum(const at::Tensor& x, const Sizes& axes, bool keep) { return x.sum(axes, keep); }
at::Tensor most(const at::Tensor& x, const Sizes& axes, bool keep) { return x.amax(axes, keep); }
at::Tensor least(const at::Tensor& x, const Sizes& axes, bool keep) { return x.amin(axes, keep); }
at::Tensor norm(const at::Tensor& x, const Sizes& axes, bool keep) { return x.mul(x).sum(axes, keep).sqrt(); }

Values resize(const Call& c) {
  const at::Tensor& x = c.in();
  if (x.dim() != 4) c.fail("is not of an image");
  const std::string mode = c.s("mode", "nearest"), places = c.s("coordinate_transformation_mode", "half_pixel");
  Sizes to;
  if (c.has(3)) {
    const Sizes all = c.integers(3);
    to = {all.at(2), all.at(3)};
  } else {
    const at::Tensor scales = c.in(2).to(at::kDouble);
    for (const std::int64_t axis : {2, 3}) to.push_back(static_cast<std::int64_t>(std::floor(static_cast<double>(x.size(axis)) * scales[axis].item<double>())));
  }
  if (mode == "nearest" && places == "asymmetric" && c.s("nearest_mode", "round_prefer_floor") == "floor") return {at::upsample_nearest2d(x, to)};
  if (mode == "linear" && (places == "align_corners" || places == "half_pixel" || places == "pytorch_half_pixel"))
    return {at::upsample_bilinear2d(x, to, places == "align_corners")};
  c.fail("has mode " + mode + " at places " + places);
}

const core::Body<NodeOp> bodies[] = {
    {"onnx-reference", "Conv", conv},
    {"onnx-reference", "ConvTranspose", conv_transpose},
    {"onnx-reference", "Gemm", gemm},
    {"onnx-reference", "MatMul", matmul},
    {"onnx-reference", "BatchNormalization", batch_norm},
    {"onnx-reference", "LayerNormalization", layer_norm},
    {"onnx-reference", "InstanceNormalization", instance_norm},
    {"onnx-reference", "MaxPool", max_pool},
    {"onnx-reference", "AveragePool", average_pool},
    {"onnx-reference", "GlobalAveragePool", global_average_pool},
    {"onnx-reference", "GlobalMaxPool", global_max_pool},
    {"onnx-reference", "ReduceMean", reduce<mean>},
    {"onnx-reference", "ReduceSum", reduce<sum>},
    {"onnx-reference", "ReduceMax", reduce<most>},
    {"onnx-reference", "ReduceMin", reduce<least>},
    {"onnx-reference", "ReduceL2", reduce<norm>},
    {"onnx-reference", "Resize", resize}};

}  // namespace ds::reference::layers
