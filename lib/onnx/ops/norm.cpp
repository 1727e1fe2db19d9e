// Norms
#include "onnx/ops/common.h"

namespace ds::onnx::ops::norm {

void batch_norm2d(Emitter& e) {
  e.add("BatchNormalization", {e.in(), e.slot("weight"), e.slot("bias"), e.slot("running_mean"), e.slot("running_var")},
        {{"epsilon", e.view().f("eps")}, {"momentum", 1 - e.view().f("momentum")}}, e.out());
}

void layer_norm(Emitter& e) {
  e.add("LayerNormalization", {e.in(), e.slot("weight"), e.slot("bias")}, {{"axis", -1}, {"epsilon", e.view().f("eps")}}, e.out());
}

void rms_norm(Emitter& e) {
  const std::string square = e.add("ReduceMean", {e.add("Mul", {e.in(), e.in()})}, {{"axes", {-1}}, {"keepdims", 1}});
  const std::string root = e.add("Sqrt", {e.add("Add", {square, e.number(e.view().f("eps"))})});
  e.add("Mul", {e.add("Div", {e.in(), root}), e.slot("weight")}, {}, e.out());
}

/// Groups as the channels of an instance norm without weights, then a scale and an offset a channel.
void group_norm(Emitter& e) {
  const std::int64_t groups = e.view().i("groups"), rank = static_cast<std::int64_t>(e.type().dims.size());
  io::Array ones = io::make_array(io::DType::kF32, {groups}), zeros = io::make_array(io::DType::kF32, {groups});
  std::fill_n(ones.as<float>(), groups, 1.0f);
  std::fill_n(zeros.as<float>(), groups, 0.0f);
  const std::string parts = e.add("Reshape", {e.in(), e.ints({0, groups, -1})});
  const std::string normed =
      e.add("InstanceNormalization", {parts, e.constant(ones), e.constant(zeros)}, {{"epsilon", e.view().f("eps")}});
  const std::string back = e.add("Reshape", {normed, e.add("Shape", {e.in()})});
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = 1; axis < rank - 1; ++axis) axes.push_back(axis);
  const auto a_channel = [&](const char* slot) { return axes.empty() ? e.slot(slot) : e.add("Unsqueeze", {e.slot(slot), e.ints(axes)}); };
  const std::string scaled = e.add("Mul", {back, a_channel("weight")});
  e.add("Add", {scaled, a_channel("bias")}, {}, e.out());
}

const core::Body<ExportOp> bodies[] = {
    {"onnx", "batch_norm2d", batch_norm2d}, {"onnx", "layer_norm", layer_norm}, {"onnx", "group_norm", group_norm}, {"onnx", "rms_norm", rms_norm}};

}  // namespace ds::onnx::ops::norm
