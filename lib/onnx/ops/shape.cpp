// Arithmetic of two values, and ops that move elements
#include "onnx/ops/common.h"

namespace ds::onnx::ops::shape {

void add(Emitter& e) { e.add("Add", {e.in(0), e.in(1)}, {}, e.out()); }
void mul(Emitter& e) { e.add("Mul", {e.in(0), e.in(1)}, {}, e.out()); }

void concat(Emitter& e) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < e.inputs(); ++i) parts.push_back(e.in(i));
  e.add("Concat", parts, {{"axis", e.view().i("axis")}}, e.out());
}

void split(Emitter& e) {
  const std::vector<std::int64_t> sizes = e.view().ints("sizes");
  std::vector<std::string> outputs;
  for (int i = 0; i < e.view().node().outputs; ++i) outputs.push_back(e.out(i));
  e.add_to("Split", {e.in(), e.ints(sizes)}, {{"axis", e.view().i("axis")}}, outputs);
}

void slice(Emitter& e) {
  e.add("Slice", {e.in(), e.ints({e.view().i("begin")}), e.ints({e.view().i("end")}), e.ints({e.view().i("axis")})}, {}, e.out());
}

void select(Emitter& e) { e.add("Gather", {e.in(), e.integer(e.view().i("index"))}, {{"axis", e.view().i("axis")}}, e.out()); }
void reorder(Emitter& e) { e.add("Gather", {e.in(), e.ints(e.view().ints("order"))}, {{"axis", e.view().i("axis")}}, e.out()); }
void gather(Emitter& e) { e.add("Gather", {e.in(0), e.in(1)}, {{"axis", e.view().i("axis")}}, e.out()); }
void permute(Emitter& e) { e.add("Transpose", {e.in()}, {{"perm", e.view().ints("dims")}}, e.out()); }
void reshape(Emitter& e) { e.add("Reshape", {e.in(), e.ints(e.view().ints("shape"))}, {}, e.out()); }

void flatten(Emitter& e) {
  const std::vector<graph::Dim> to = result_type(e).dims;
  const std::int64_t start = e.view().i("start"), end = e.view().i("end"), rank = static_cast<std::int64_t>(e.type().dims.size());
  if (start == 1 && (end == -1 || end == rank - 1)) {
    e.add("Flatten", {e.in()}, {{"axis", 1}}, e.out());
    return;
  }
  e.reshape(e.in(), e.type().dims, to, e.out());
}

/// A tensor as it is, or repeated along axis 0 to the size that the input has there.
void tensor(Emitter& e) {
  if (e.inputs() == 0) return e.pass(e.slot("value"));
  const std::int64_t rank = static_cast<std::int64_t>(e.view().slot_shape("value").size());
  std::string shape = e.size(e.in(), 0);
  if (rank > 1) shape = e.add("Concat", {shape, e.ints(std::vector<std::int64_t>(static_cast<std::size_t>(rank - 1), 1))}, {{"axis", 0}});
  e.add("Expand", {e.slot("value"), shape}, {}, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "add", add},         {"onnx", "mul", mul},         {"onnx", "concat", concat},
                                       {"onnx", "split", split},     {"onnx", "slice", slice},     {"onnx", "select", select},
                                       {"onnx", "reorder", reorder}, {"onnx", "permute", permute}, {"onnx", "reshape", reshape},
                                       {"onnx", "flatten", flatten}, {"onnx", "tensor", tensor},
                                       {"onnx", "gather", gather}};

}  // namespace ds::onnx::ops::shape
