// Functions of one element, softmax, dropout
#include <cmath>

#include "onnx/ops/common.h"

namespace ds::onnx::ops {

std::string gelu(Emitter& e, const std::string& x, bool by_tanh, const std::string& to) {
  if (!by_tanh) {  // x * 0.5 * (1 + erf(x / sqrt(2))), in the order that others write it
    const std::string erf = e.add("Erf", {e.add("Div", {x, e.number(std::sqrt(2.0))})});
    return e.add("Mul", {e.add("Mul", {x, e.add("Add", {erf, e.number(1)})}), e.number(0.5)}, {}, to);
  }
  const std::string cube = e.add("Mul", {e.add("Mul", {x, x}), x});
  const std::string inner = e.add("Add", {x, e.add("Mul", {cube, e.number(0.044715)})});
  const std::string t = e.add("Tanh", {e.add("Mul", {inner, e.number(std::sqrt(2 / M_PI))})});
  return e.add("Mul", {e.add("Mul", {x, e.add("Add", {t, e.number(1)})}), e.number(0.5)}, {}, to);
}

namespace activation {

void relu(Emitter& e) { e.add("Relu", {e.in()}, {}, e.out()); }
void relu6(Emitter& e) { e.add("Clip", {e.in(), e.number(0), e.number(6)}, {}, e.out()); }
void sigmoid(Emitter& e) { e.add("Sigmoid", {e.in()}, {}, e.out()); }
void tanh(Emitter& e) { e.add("Tanh", {e.in()}, {}, e.out()); }
void silu(Emitter& e) { e.add("Mul", {e.in(), e.add("Sigmoid", {e.in()})}, {}, e.out()); }
void hardswish(Emitter& e) { e.add("HardSwish", {e.in()}, {}, e.out()); }
void hardsigmoid(Emitter& e) { e.add("HardSigmoid", {e.in()}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}, e.out()); }
void softmax(Emitter& e) { e.add("Softmax", {e.in()}, {{"axis", e.view().i("axis")}}, e.out()); }
void exp(Emitter& e) { e.add("Exp", {e.in()}, {}, e.out()); }
void scale(Emitter& e) { e.add("Mul", {e.in(), e.number(e.view().f("factor"))}, {}, e.out()); }
void clamp(Emitter& e) { e.add("Clip", {e.in(), e.number(e.view().f("min")), e.number(e.view().f("max"))}, {}, e.out()); }
void pass(Emitter& e) { e.pass(e.in()); }

void gelu(Emitter& e) { ops::gelu(e, e.in(), e.view().s("approximate") == "tanh", e.out()); }

const core::Body<ExportOp> bodies[] = {{"onnx", "relu", relu},           {"onnx", "relu6", relu6},     {"onnx", "sigmoid", sigmoid},
                                       {"onnx", "tanh", tanh},           {"onnx", "silu", silu},       {"onnx", "hardswish", hardswish},
                                       {"onnx", "hardsigmoid", hardsigmoid}, {"onnx", "softmax", softmax}, {"onnx", "gelu", gelu},
                                       {"onnx", "identity", pass},       {"onnx", "dropout", pass},    {"onnx", "drop_path", pass},
                                       {"onnx", "dropout2d", pass},
                                       {"onnx", "exp", exp},             {"onnx", "scale", scale},     {"onnx", "clamp", clamp}};

}  // namespace activation
}  // namespace ds::onnx::ops
