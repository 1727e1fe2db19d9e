// attention: what is written as two products of values with a softmax between
#include <fmt/format.h>

#include <cmath>

#include "onnx/import/patterns.h"
#include "onnx/import/probe.h"

namespace ds::onnx::imports::attention {

/// Heads of q, k or v: [N, S, n * d] as [N, n, S, d], or [N, n, d, S].
struct Heads {
  std::string value;  ///< of our graph; "" = another form
  std::int64_t heads = 0, dim = 0;
};

/// Through Gather of repeated heads, Transpose and Reshape to what the linears gave.
Heads heads_of(Reader& r, std::string value, bool keys) {
  const std::vector<std::int64_t> plain{0, 2, 1, 3}, turned{0, 2, 3, 1};
  if (const pb::NodeProto* gather = r.made_by(value, "Gather")) {
    const Known& order = r.known(gather->input(1));
    if (order.kind != Known::kConstant || order.array.shape.size() != 1) return {};
    value = gather->input(0);
  }
  const pb::NodeProto* transpose = r.made_by(value, "Transpose");
  if (transpose == nullptr) return {};
  std::vector<std::int64_t> perm = Reader(r.importer(), *transpose).ints("perm", {});
  const pb::NodeProto* inner = keys && perm == std::vector<std::int64_t>{0, 1, 3, 2} ? r.made_by(transpose->input(0), "Transpose") : nullptr;
  if (inner != nullptr) {  // heads first, then turned
    if (Reader(r.importer(), *inner).ints("perm", {}) != plain) return {};
    transpose = inner, perm = turned;
  }
  if (perm != (keys ? turned : plain)) return {};
  const pb::NodeProto* reshape = r.made_by(transpose->input(0), "Reshape");
  if (reshape == nullptr || r.known(reshape->input(0)).kind != Known::kValue) return {};
  const Known& split = r.known(reshape->output(0));
  if (split.kind != Known::kValue) return {};
  const std::vector<graph::Dim>& dims = r.type_of(split.value).dims;
  const std::vector<graph::Dim>& from = r.type_of(r.known(reshape->input(0)).value).dims;
  if (dims.size() != 4 || from.size() != 3 || !dims[2].is_known() || !dims[3].is_known() || !(dims[0] == from[0]) || !(dims[1] == from[1])) return {};
  return {r.known(reshape->input(0)).value, dims[2].value(), dims[3].value()};
}

/// The scores: product of q and k, times a scale, plus masks.
struct Scores {
  Heads q, k;
  double scale = 1;
  bool causal = false;
  std::string mask;
  bool found = false;
};

/// The mask that was worked out, as our ops have it; with another one before it only where one of them is causal.
bool take_mask(Reader& r, Scores& s, const std::string& value, bool truths) {
  const Mask mask = probe_mask(r, value, truths);
  if (!mask.found || (!mask.keys.empty() && !s.mask.empty())) return false;
  s.causal = s.causal || mask.causal;
  if (!mask.keys.empty()) s.mask = r.key_mask(mask.keys);
  return true;
}

Scores scores_of(Reader& r, std::string value) {
  Scores s;
  for (int step = 0; step < 8; ++step) {
    if (const pb::NodeProto* add = r.made_by(value, "Add"); add != nullptr && add->input_size() == 2) {
      if (r.known(add->input(1)).kind == Known::kNothing) {
        if (!take_mask(r, s, add->input(1), /*truths=*/false)) return s;
      } else if (s.mask.empty() && r.known(add->input(1)).kind == Known::kValue) s.mask = r.known(add->input(1)).value;
      else return s;
      value = add->input(0);
    } else if (const pb::NodeProto* where = r.made_by(value, "Where"); where != nullptr && r.known(where->input(2)).kind == Known::kConstant) {
      const Known& hidden = r.known(where->input(2));  // where(seen, scores, the lowest)
      if (hidden.array.numel() != 1 || io::element(hidden.array, 0) > -9999 || !take_mask(r, s, where->input(0), /*truths=*/true)) return s;
      value = where->input(1);
    } else if (const pb::NodeProto* mul = r.made_by(value, "Mul"); mul != nullptr && mul->input_size() == 2) {
      const Known& by = r.known(mul->input(1));
      if (by.kind != Known::kConstant || by.array.numel() != 1) return s;
      s.scale *= io::element(by.array, 0);
      value = mul->input(0);
    } else if (const pb::NodeProto* div = r.made_by(value, "Div"); div != nullptr) {
      const Known& by = r.known(div->input(1));
      if (by.kind != Known::kConstant || by.array.numel() != 1 || io::element(by.array, 0) == 0) return s;
      s.scale /= io::element(by.array, 0);
      value = div->input(0);
    } else {
      break;
    }
  }
  const pb::NodeProto* product = r.made_by(value, "MatMul");
  if (product == nullptr) return s;
  const auto side = [&](std::string operand, bool keys) {  // PyTorch scales q and k each by the root
    if (const pb::NodeProto* mul = r.made_by(operand, "Mul"); mul != nullptr && mul->input_size() == 2) {
      const Known& by = r.known(mul->input(1));
      if (by.kind == Known::kConstant && by.array.numel() == 1) {
        s.scale *= io::element(by.array, 0);
        operand = mul->input(0);
      }
    }
    return heads_of(r, operand, keys);
  };
  s.q = side(product->input(0), false);
  s.k = side(product->input(1), true);
  s.found = !s.q.value.empty() && !s.k.value.empty();
  return s;
}

/// The Softmax that gives the weights: also behind a Cast, and where what is no number, in rows that see nothing, becomes 0.
const pb::NodeProto* softmax_of(Reader& r, std::string value) {
  if (const pb::NodeProto* cast = r.made_by(value, "Cast")) value = cast->input(0);
  if (const pb::NodeProto* where = r.made_by(value, "Where"); where != nullptr && r.made_by(where->input(0), "IsNaN") != nullptr) value = where->input(2);
  return r.made_by(value, "Softmax");
}

/// Causal masks and the like: what is behind them looks back.
void part(Reader&) {}

const core::Body<ImportOp> bodies[] = {{"onnx-import", "Trilu", part}};

}  // namespace ds::onnx::imports::attention

namespace ds::onnx::imports {

bool attention_before(Reader& r) {
  using namespace attention;
  const pb::NodeProto* back = r.made_by(r.node().input(0), "Transpose");
  const pb::NodeProto* same = back == nullptr ? nullptr : r.made_by(back->input(0), "Reshape");  // to the shape that it has
  const pb::NodeProto* sums = back == nullptr ? nullptr : r.made_by(same == nullptr ? back->input(0) : same->input(0), "MatMul");
  const pb::NodeProto* weights = sums == nullptr ? nullptr : softmax_of(r, sums->input(0));
  if (weights == nullptr) return false;
  const Scores s = scores_of(r, weights->input(0));
  const Heads v = heads_of(r, sums->input(1), false);
  if (!s.found || v.value.empty() || s.k.heads != v.heads || s.q.dim != s.k.dim || v.dim != s.q.dim || s.q.heads % v.heads != 0) return false;
  graph::Json attrs = {{"heads", s.q.heads}, {"causal", s.causal}};
  if (v.heads != s.q.heads) attrs["kv_heads"] = v.heads;
  if (std::abs(s.scale * std::sqrt(static_cast<double>(s.q.dim)) - 1) > 1e-6) attrs["scale"] = s.scale;
  std::vector<std::string> inputs{s.q.value, s.k.value, v.value};
  if (!s.mask.empty()) inputs.push_back(s.mask);
  r.set("attention", inputs, attrs);
  return true;
}

}  // namespace ds::onnx::imports
