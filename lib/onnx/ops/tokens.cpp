// key_mask, position_ids, masked_mean, l2_normalize
#include <limits>

#include "onnx/ops/common.h"

namespace ds::onnx::ops::tokens {

void key_mask(Emitter& e) {
  const std::string padding = e.add("Equal", {e.in(), e.integer(0)});
  const std::string rows = e.add("Where", {padding, e.number(std::numeric_limits<float>::lowest()), e.number(0)});
  e.add("Unsqueeze", {rows, e.ints({1, 2})}, {}, e.out());
}

void position_ids(Emitter& e) {
  const std::int64_t padding = e.view().i("padding_idx");
  if (padding < 0) {
    e.add("Unsqueeze", {positions(e, e.in()), e.ints({0})}, {}, e.out());
    return;
  }
  const std::string token = e.add("Cast", {e.add("Not", {e.add("Equal", {e.in(), e.integer(padding)})})}, {{"to", kInt64}});
  const std::string count = e.add("CumSum", {token, e.integer(1)});
  e.add("Add", {e.add("Mul", {count, token}), e.integer(padding)}, {}, e.out());
}

void masked_mean(Emitter& e) {
  const std::string mask = e.add("Unsqueeze", {as_truth(e, e.in(1), kFloat), e.ints({-1})});
  const std::string sum = e.add("ReduceSum", {e.add("Mul", {e.in(0), mask}), e.ints({1})}, {{"keepdims", 0}});
  const std::string count = e.add("Max", {e.add("ReduceSum", {mask, e.ints({1})}, {{"keepdims", 0}}), e.number(1)});
  e.add("Div", {sum, count}, {}, e.out());
}

void l2_normalize(Emitter& e) {
  const std::string norm = e.add("ReduceL2", {e.in()}, {{"axes", {-1}}, {"keepdims", 1}});
  e.add("Div", {e.in(), e.add("Max", {norm, e.number(e.view().f("eps"))})}, {}, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "key_mask", key_mask},
                                       {"onnx", "position_ids", position_ids},
                                       {"onnx", "masked_mean", masked_mean},
                                       {"onnx", "l2_normalize", l2_normalize}};

}  // namespace ds::onnx::ops::tokens
