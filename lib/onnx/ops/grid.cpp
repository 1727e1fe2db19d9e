// pad, roll, upsample2d, window_mask
#include <cstring>
#include <limits>

#include "base/graph/windows.h"
#include "onnx/ops/common.h"

namespace ds::onnx::ops::grid {

std::size_t counted(const Emitter& e, std::int64_t axis) {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(e.type().dims.size()) : axis);
}

void pad(Emitter& e) {
  const std::size_t rank = e.type().dims.size();
  const std::vector<std::int64_t> axes = e.view().ints("axes"), before = e.view().ints("before"), after = e.view().ints("after");
  std::vector<std::int64_t> sides(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    sides[counted(e, axes[i])] = before[i];
    sides[rank + counted(e, axes[i])] = after[i];
  }
  e.add("Pad", {e.in(), e.ints(sides), e.number(e.view().f("value"))}, {{"mode", "constant"}}, e.out());
}

/// The part that leaves at one end goes in front of the rest.
void roll(Emitter& e) {
  const std::vector<std::int64_t> axes = e.view().ints("axes"), shifts = e.view().ints("shifts");
  const std::string none = e.ints({0}), end = e.ints({std::numeric_limits<std::int64_t>::max()});
  std::string x = e.in();
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const graph::Dim& size = e.type().dims[counted(e, axes[i])];
    const std::int64_t shift = size.is_known() ? shifts[i] % size.value() : shifts[i];
    if (shift == 0) continue;
    const std::string at = e.ints({-shift}), axis = e.ints({axes[i]});
    x = e.add("Concat", {e.add("Slice", {x, at, end, axis}), e.add("Slice", {x, none, at, axis})}, {{"axis", axes[i]}});
  }
  e.pass(x);
}

void upsample2d(Emitter& e) {
  const std::vector<std::int64_t> scale = e.view().ints("scale");
  io::Array scales = io::make_array(io::DType::kF32, {4});
  const float values[4] = {1, 1, static_cast<float>(scale[0]), static_cast<float>(scale[1])};
  std::memcpy(scales.data, values, sizeof values);
  const std::vector<std::string> inputs{e.in(), "", e.constant(scales)};
  if (e.view().s("mode") == "nearest")
    e.add("Resize", inputs, {{"mode", "nearest"}, {"coordinate_transformation_mode", "asymmetric"}, {"nearest_mode", "floor"}}, e.out());
  else
    e.add("Resize", inputs, {{"mode", "linear"}, {"coordinate_transformation_mode", e.view().b("align_corners") ? "align_corners" : "half_pixel"}}, e.out());
}

void window_mask(Emitter& e) {
  const graph::ValueType type = result_type(e);
  std::vector<std::int64_t> shape;
  for (const graph::Dim& dim : type.dims) shape.push_back(dim.value());
  const std::vector<float> values =
      graph::window_mask(e.view().ints("size"), e.view().ints("window"), e.view().ints("shift"), static_cast<float>(e.view().f("value")));
  io::Array mask = io::make_array(io::DType::kF32, shape);
  std::memcpy(mask.data, values.data(), mask.bytes());
  e.pass(e.constant(mask));
}

const core::Body<ExportOp> bodies[] = {{"onnx", "pad", pad}, {"onnx", "roll", roll}, {"onnx", "upsample2d", upsample2d}, {"onnx", "window_mask", window_mask}};

}  // namespace ds::onnx::ops::grid
