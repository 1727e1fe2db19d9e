#include "onnx/ops/common.h"

namespace ds::onnx::ops {

Attributes window_attributes(const graph::NodeView& view, bool conv) {
  const std::vector<std::int64_t> p = view.ints("padding");
  Attributes attributes = {{"kernel_shape", view.ints("kernel")},
                           {"strides", view.ints("stride")},
                           {"pads", std::vector<std::int64_t>{p[0], p[1], p[p.size() - 2], p[p.size() - 1]}}};
  if (conv) {
    attributes.emplace("dilations", view.ints("dilation"));
    attributes.emplace("group", view.i("groups"));
  }
  return attributes;
}

void linear(Emitter& e, const std::string& x, const std::string& weight, const std::string& bias, bool transposed, const std::string& to) {
  if (e.type().dims.size() == 2) {
    e.add("Gemm", {x, weight, bias}, {{"transB", transposed ? 0 : 1}}, to);
    return;
  }
  const std::string w = transposed ? weight : e.add("Transpose", {weight}, {{"perm", {1, 0}}});
  const std::string y = e.add("MatMul", {x, w}, {}, bias.empty() ? to : "");
  if (!bias.empty()) e.add("Add", {y, bias}, {}, to);
}

graph::ValueType result_type(const Emitter& e, std::size_t i) { return graph::op(e.view().node().op).infer(e.view()).at(i); }

std::string positions(Emitter& e, const std::string& x) {
  return e.add("Range", {e.integer(0), e.add("Squeeze", {e.size(x, 1)}), e.integer(1)});
}

std::string as_truth(Emitter& e, const std::string& x, int type) {
  return e.add("Cast", {e.add("Cast", {x}, {{"to", kBool}})}, {{"to", type}});
}

}  // namespace ds::onnx::ops
