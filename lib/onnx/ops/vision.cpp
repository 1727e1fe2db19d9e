// What nets for images have beside convolution and pooling: transposed convolution, enlarging, padding, cyclic shifts, masks of windows
#include <algorithm>
#include <limits>

#include "base/graph/windows.h"
#include "onnx/ops/common.h"

namespace ds::onnx::ops::vision {

std::string floats(Emitter& e, const std::vector<float>& values, std::vector<std::int64_t> shape) {
  io::Array array = io::make_array(io::DType::kF32, std::move(shape));
  std::copy(values.begin(), values.end(), array.as<float>());
  return e.constant(array);
}

void conv_transpose2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/true);
  attributes.emplace("output_padding", e.view().ints("output_padding"));
  e.add("ConvTranspose", {e.in(), e.slot("weight"), e.slot("bias")}, attributes, e.out());
}

void upsample2d(Emitter& e) {
  const std::vector<std::int64_t> scale = e.view().ints("scale");
  const bool bilinear = e.view().s("mode") == "bilinear";
  const char* coordinates = !bilinear ? "asymmetric" : e.view().b("align_corners") ? "align_corners" : "half_pixel";
  Attributes attributes = {{"mode", bilinear ? "linear" : "nearest"}, {"coordinate_transformation_mode", coordinates}};
  if (!bilinear) attributes.emplace("nearest_mode", "floor");
  e.add("Resize", {e.in(), "", floats(e, {1, 1, static_cast<float>(scale[0]), static_cast<float>(scale[1])}, {4})}, attributes, e.out());
}

std::size_t counted(std::int64_t axis, std::size_t rank) { return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis); }

void pad(Emitter& e) {
  const std::size_t rank = e.type().dims.size();
  const auto axes = e.view().ints("axes"), before = e.view().ints("before"), after = e.view().ints("after");
  std::vector<std::int64_t> pads(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    pads[counted(axes[i], rank)] = before[i];
    pads[rank + counted(axes[i], rank)] = after[i];
  }
  e.add("Pad", {e.in(), e.ints(pads), e.number(e.view().f("value"))}, {}, e.out());
}

/// One axis: what the shift moves over the end, then the rest.
std::string rolled(Emitter& e, const std::string& x, std::int64_t axis, std::int64_t shift) {
  const std::int64_t end = std::numeric_limits<std::int64_t>::max();
  const std::string at = e.ints({-shift}), along = e.ints({axis});
  const std::string first = e.add("Slice", {x, at, e.ints({end}), along}), rest = e.add("Slice", {x, e.ints({0}), at, along});
  return e.add("Concat", {first, rest}, {{"axis", axis}});
}

void roll(Emitter& e) {
  const auto axes = e.view().ints("axes"), shifts = e.view().ints("shifts");
  std::string x = e.in();
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t axis = counted(axes[i], e.type().dims.size());
    const graph::Dim& size = e.type().dims[axis];
    if (!size.is_known()) e.fail("axis " + std::to_string(axis) + " has a size that only a run knows");
    const std::int64_t shift = ((shifts[i] % size.value()) + size.value()) % size.value();
    if (shift != 0) x = rolled(e, x, static_cast<std::int64_t>(axis), shift);
  }
  e.pass(x);
}

void window_mask(Emitter& e) {
  const graph::NodeView& v = e.view();
  std::vector<std::int64_t> shape;
  for (const graph::Dim& dim : result_type(e, 0).dims) shape.push_back(dim.value());
  e.pass(floats(e, graph::window_mask(v.ints("size"), v.ints("window"), v.ints("shift"), v.f("value")), shape));
}

void gather(Emitter& e) { e.add("Gather", {e.in(0), e.in(1)}, {{"axis", e.view().i("axis")}}, e.out()); }
void clamp(Emitter& e) { e.add("Clip", {e.in(), e.number(e.view().f("min")), e.number(e.view().f("max"))}, {}, e.out()); }
void exp(Emitter& e) { e.add("Exp", {e.in()}, {}, e.out()); }

const core::Body<ExportOp> bodies[] = {{"onnx", "conv_transpose2d", conv_transpose2d}, {"onnx", "upsample2d", upsample2d},
                                       {"onnx", "pad", pad},                           {"onnx", "roll", roll},
                                       {"onnx", "window_mask", window_mask},           {"onnx", "gather", gather},
                                       {"onnx", "clamp", clamp},                       {"onnx", "exp", exp}};

}  // namespace ds::onnx::ops::vision
