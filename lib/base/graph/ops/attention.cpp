#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::attention {

/// softmax(scale q k^T + mask) v by heads (Vaswani et al. 2017, eq. 1), where scale is 1 / sqrt(head_dim) unless it is stated. Causal: query s
/// sees the keys 0 to s, of those that the mask lets it see. With fewer heads in k and v, each serves a group of heads of q (Ainslie et al.
/// 2023, "GQA", section 2.2). The projections are linears of their own.
class Attention : public Op {
 public:
  Attention() {
    name = "attention";
    summary = "scaled dot-product attention by heads: q [N, S, heads * d], k and v [N, T, kv_heads * d], optional additive mask";
    attrs = {{"heads", AttrType::kInt, nullptr, 1, 65536},
             {"kv_heads", AttrType::kInt, 0, 0, 65536},
             {"causal", AttrType::kBool, false},
             {"scale", AttrType::kFloat, 0.0, 0, 1e6}};
    min_inputs = 3;
    max_inputs = 4;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const ValueType &q = view.input(0), &k = view.input(1), &v = view.input(2);
    const auto same = [&](std::size_t axis, const ValueType& a, const ValueType& b) { return a.dims[axis] == b.dims[axis]; };
    if (!same(0, q, k) || !same(0, q, v) || !same(1, k, v) || q.dtype != k.dtype || q.dtype != v.dtype)
      view.fail(fmt::format("q, k and v are {}, {} and {}, expected one batch, and one length of k and v", text(q), text(k), text(v)));
    if (view.inputs().size() > 3) check_mask(view, s);
    return {q};
  }

  Dim macs(const NodeView& view) const override {  // q k^T and the weighted sum of v
    const ValueType& q = view.input(0);
    return q.dims[0] * q.dims[1] * view.input(1).dims[1] * q.dims[2] * Dim(2);
  }

  void channels(ChannelRule& rule) const override {
    const NodeView& view = rule.view();
    const Sizes s = sizes(view);
    const Atoms bias = view.inputs().size() > 3 && rank(view, 3) == 4 ? rule.input(3, 1) : Atoms{};  // a learned bias has its own heads
    for (std::size_t i = 0; i < view.inputs().size(); ++i) freeze_axes(rule, i, "attention mixes this axis", i < 3 ? 2 : bias.empty() ? -1 : 1);
    const Atoms q = rule.input(0, 2), k = rule.input(1, 2), v = rule.input(2, 2);
    if (q.empty() || k.empty() || v.empty()) {
      for (const Atoms& atoms : {q, k, v, bias})
        if (!atoms.empty()) rule.freeze(atoms, "meets an attention input without channels");
      return;
    }
    const std::size_t d = static_cast<std::size_t>(s.head_dim), group = static_cast<std::size_t>(s.heads / s.kv_heads);
    const bool masked_by_head = view.inputs().size() > 3 && rank(view, 3) == 4 && !(view.input(3).dims[1] == Dim(1));
    Atoms out;
    for (std::size_t h = 0; h < static_cast<std::size_t>(s.heads); ++h) {  // whole heads, with the k and v that they read
      const std::size_t first = h / group * d;
      if (!bias.empty()) rule.unify(v[first], bias[bias.size() == 1 ? 0 : h]);
      for (std::size_t i = 0; i < d; ++i) {
        rule.unify(v[first], q[h * d + i]);
        rule.unify(v[first], k[first + i]);
        rule.unify(v[first], v[first + i]);
        out.push_back(v[first + i]);
      }
    }
    if (masked_by_head && bias.empty()) rule.freeze(out, "the mask has values for each head");
    rule.output(0, 2, out);
  }

  void resize(const NodeView& old, const NodeView& view, Json& attrs) const override {
    const std::int64_t head_dim = sizes(old).head_dim;
    attrs["heads"] = known(view, 0, 2, "features") / head_dim;
    if (old.i("kv_heads") != 0) attrs["kv_heads"] = known(view, 1, 2, "features") / head_dim;
  }

 private:
  struct Sizes {
    std::int64_t heads, kv_heads, head_dim;
  };

  static Sizes sizes(const NodeView& view) {
    std::int64_t features[3];
    for (std::size_t i = 0; i < 3; ++i) {
      require_float(view, i);
      require_rank(view, i, 3);
      features[i] = known(view, i, 2, "features");
    }
    const std::int64_t heads = view.i("heads"), kv = view.i("kv_heads") == 0 ? heads : view.i("kv_heads");
    if (features[0] % heads != 0) view.fail(fmt::format("q has {} features, which cannot be divided into {} heads", features[0], heads));
    if (heads % kv != 0) view.fail(fmt::format("{} heads cannot be divided among {} key and value heads", heads, kv));
    const std::int64_t head_dim = features[0] / heads;
    if (features[1] != kv * head_dim || features[2] != kv * head_dim)
      view.fail(fmt::format("k and v have {} and {} features, expected {} heads of {}: {}", features[1], features[2], kv, head_dim, kv * head_dim));
    return {heads, kv, head_dim};
  }

  static void check_mask(const NodeView& view, const Sizes& s) {
    require_float(view, 3);
    const std::vector<Dim> full{view.input(0).dims[0], s.heads, view.input(0).dims[1], view.input(1).dims[1]};
    const std::vector<Dim>& mask = view.input(3).dims;
    bool fits = mask.size() >= 2 && mask.size() <= 4;
    for (std::size_t i = 0; fits && i < mask.size(); ++i) fits = mask[i] == Dim(1) || mask[i] == full[4 - mask.size() + i];
    if (!fits) view.fail(fmt::format("the mask is {}, which cannot be broadcast to {}", text(view.input(3)), text({DType::kF32, full})));
  }
};

const OpRegistrar attention{std::make_unique<Attention>()};

}  // namespace ds::graph::opset::attention
