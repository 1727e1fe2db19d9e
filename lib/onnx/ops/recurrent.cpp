// lstm, gru: ONNX runs over [S, N, F] and has the gates in an order of its own
#include "onnx/ops/common.h"

namespace ds::onnx::ops::recurrent {

/// Rows of the gates in another order: gate i of ONNX is gate order[i] of ours.
std::string gates(Emitter& e, const std::string& rows, const std::vector<std::size_t>& order) {
  const std::int64_t hidden = e.view().i("hidden");
  std::vector<std::string> parts, ordered;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto begin = static_cast<std::int64_t>(i) * hidden;
    parts.push_back(e.add("Slice", {rows, e.ints({begin}), e.ints({begin + hidden}), e.ints({0})}));
  }
  for (const std::size_t i : order) ordered.push_back(parts[i]);
  return e.add("Concat", ordered, {{"axis", 0}});
}

void recurrent(Emitter& e, const char* op, const std::vector<std::size_t>& order, Attributes attributes) {
  const auto one_direction = [&](const std::string& x) { return e.add("Unsqueeze", {x, e.ints({0})}); };
  const std::string w = one_direction(gates(e, e.slot("weight_ih"), order)), r = one_direction(gates(e, e.slot("weight_hh"), order));
  std::string bias, lengths;
  if (e.view().has_slot("bias_ih"))
    bias = one_direction(e.add("Concat", {gates(e, e.slot("bias_ih"), order), gates(e, e.slot("bias_hh"), order)}, {{"axis", 0}}));
  if (e.inputs() > 1) lengths = e.add("ReduceSum", {as_truth(e, e.in(1), kInt32), e.ints({1})}, {{"keepdims", 0}});
  attributes.emplace("hidden_size", e.view().i("hidden"));
  attributes.emplace("direction", e.view().b("reverse") ? "reverse" : "forward");
  const std::string x = e.add("Transpose", {e.in()}, {{"perm", {1, 0, 2}}});
  const std::string y = e.add(op, {x, w, r, bias, lengths}, attributes);  // [S, 1, N, H]
  e.add("Transpose", {e.add("Squeeze", {y, e.ints({1})})}, {{"perm", {1, 0, 2}}}, e.out());
}

/// Ours: input, forget, cell, output. ONNX: input, output, forget, cell.
void lstm(Emitter& e) { recurrent(e, "LSTM", {0, 3, 1, 2}, {}); }
/// Ours: reset, update, new. ONNX: update, reset, new.
void gru(Emitter& e) { recurrent(e, "GRU", {1, 0, 2}, {{"linear_before_reset", 1}}); }

const core::Body<ExportOp> bodies[] = {{"onnx", "lstm", lstm}, {"onnx", "gru", gru}};

}  // namespace ds::onnx::ops::recurrent
