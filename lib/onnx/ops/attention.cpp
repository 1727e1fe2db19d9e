// attention: softmax(scale q k^T + mask) v by heads; opset 17 has no op of it
#include <cmath>
#include <limits>

#include "onnx/ops/common.h"

namespace ds::onnx::ops::attention {

/// [N, S, n * d] as [N, n, S, d], or [N, n, d, S] for keys; each of `n` heads `repeat` times where several heads of q read it.
std::string by_heads(Emitter& e, const std::string& x, std::int64_t n, std::int64_t d, std::int64_t repeat, bool keys) {
  const std::string parts = e.add("Reshape", {x, e.ints({0, 0, n, d})});
  const std::string heads = e.add("Transpose", {parts}, {{"perm", keys ? std::vector<std::int64_t>{0, 2, 3, 1} : std::vector<std::int64_t>{0, 2, 1, 3}}});
  if (repeat == 1) return heads;
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < n * repeat; ++i) order.push_back(i / repeat);
  return e.add("Gather", {heads, e.ints(order)}, {{"axis", 1}});
}

/// Minus infinity above the diagonal of [S, T], 0 elsewhere.
std::string causal_mask(Emitter& e) {
  io::Array low = io::make_array(io::DType::kF32, {1, 1});
  *low.as<float>() = -std::numeric_limits<float>::infinity();
  const std::string shape = e.add("Concat", {e.size(e.in(0), 1), e.size(e.in(1), 1)}, {{"axis", 0}});
  return e.add("Trilu", {e.add("Expand", {e.constant(low), shape}), e.integer(1)}, {{"upper", 1}});
}

void attention(Emitter& e) {
  const std::int64_t heads = e.view().i("heads"), stated = e.view().i("kv_heads"), kv = stated == 0 ? heads : stated;
  const std::int64_t d = e.type(0).dims[2].value() / heads;
  const double scale = e.view().f("scale") == 0 ? 1 / std::sqrt(static_cast<double>(d)) : e.view().f("scale");
  const std::string q = by_heads(e, e.in(0), heads, d, 1, false);
  const std::string k = by_heads(e, e.in(1), kv, d, heads / kv, true);
  const std::string v = by_heads(e, e.in(2), kv, d, heads / kv, false);
  std::string scores = e.add("MatMul", {q, k});
  if (scale != 1) scores = e.add("Mul", {scores, e.number(scale)});
  if (e.inputs() > 3) scores = e.add("Add", {scores, e.in(3)});
  if (e.view().b("causal")) scores = e.add("Add", {scores, causal_mask(e)});
  const std::string sums = e.add("MatMul", {e.add("Softmax", {scores}, {{"axis", -1}}), v});
  const std::string rows = e.add("Transpose", {sums}, {{"perm", {0, 2, 1, 3}}});
  e.add("Reshape", {rows, e.ints({0, 0, heads * d})}, {}, e.out());
}

const core::Body<ExportOp> body{"onnx", "attention", attention};

}  // namespace ds::onnx::ops::attention
