// linear, embedding
#include "onnx/ops/common.h"

namespace ds::onnx::ops::dense {

void linear(Emitter& e) { ops::linear(e, e.in(), e.slot("weight"), e.slot("bias"), e.view().b("transposed"), e.out()); }
void embedding(Emitter& e) { e.add("Gather", {e.slot("weight"), e.in()}, {{"axis", 0}}, e.out()); }

const core::Body<ExportOp> bodies[] = {{"onnx", "linear", linear}, {"onnx", "embedding", embedding}};

}  // namespace ds::onnx::ops::dense
