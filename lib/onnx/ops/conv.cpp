// Convolutions
#include "onnx/ops/common.h"

namespace ds::onnx::ops::conv {

void conv2d(Emitter& e) { e.add("Conv", {e.in(), e.slot("weight"), e.slot("bias")}, window_attributes(e.view(), /*conv=*/true), e.out()); }

void conv1d(Emitter& e) {
  const std::vector<std::int64_t> padding = e.view().ints("padding");
  e.add("Conv", {e.in(), e.slot("weight"), e.slot("bias")},
        {{"kernel_shape", {e.view().i("kernel")}},
         {"strides", {e.view().i("stride")}},
         {"pads", {padding.front(), padding.back()}},
         {"dilations", {e.view().i("dilation")}},
         {"group", e.view().i("groups")}},
        e.out());
}

void conv_transpose2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/true);
  attributes.emplace("output_padding", e.view().ints("output_padding"));
  e.add("ConvTranspose", {e.in(), e.slot("weight"), e.slot("bias")}, attributes, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "conv2d", conv2d}, {"onnx", "conv1d", conv1d}, {"onnx", "conv_transpose2d", conv_transpose2d}};

}  // namespace ds::onnx::ops::conv
