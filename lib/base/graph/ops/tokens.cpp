// What sequences of tokens need beside the common layers: masks, positions, means and norms of sentences.
#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::tokens {

/// Input i as int64 of two axes, [N, S].
void require_tokens(const NodeView& view, std::size_t i) {
  if (view.input(i).dtype != DType::kI64 || rank(view, i) != 2)
    view.fail(fmt::format("input {} is {}, expected int64[N, S]", i, text(view.input(i))));
}

/// What attention adds to its scores so that nothing looks at padding. The lowest float, not minus infinity: a sequence of padding alone then
/// weighs its keys alike. Always float32, in a net of float64 too: attention makes it what its scores are.
class KeyMask : public Op {
 public:
  KeyMask() {
    name = "key_mask";
    summary = "mask of attention from int64 [N, S], 1 a token and 0 padding: float32 [N, 1, 1, S] of 0 and the lowest float";
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_tokens(view, 0);
    return {{DType::kF32, {view.input().dims[0], 1, 1, view.input().dims[1]}}};
  }

  void channels(ChannelRule& rule) const override { freeze_axes(rule, 0, "is the axis of a mask"); }
};

class PositionIds : public Op {
 public:
  PositionIds() {
    name = "position_ids";
    summary = "positions of int64 [N, S]: 0 to S - 1 as [1, S], or counted from padding_idx + 1 without the padding, which is at padding_idx";
    attrs = {{"padding_idx", AttrType::kInt, -1, -1, kMaxSize}, {"limit", AttrType::kInt, 0, 0, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_tokens(view, 0);
    const Dim &n = view.input().dims[0], &s = view.input().dims[1];
    const std::int64_t limit = view.i("limit"), longest = limit - view.i("padding_idx") - 1;
    if (limit > 0 && s.is_known() && s.value() > longest) view.fail(fmt::format("a sequence of {} tokens, expected at most {}", s.value(), longest));
    return {{DType::kI64, {view.i("padding_idx") >= 0 ? n : Dim(1), s}}};
  }

  void channels(ChannelRule& rule) const override { freeze_axes(rule, 0, "is an axis of tokens"); }
};

class MaskedMean : public Op {
 public:
  MaskedMean() {
    name = "masked_mean";
    summary = "mean over the tokens of [N, S, D] that the mask, int64 [N, S], has at 1: [N, D]; 0 where it has none";
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 3);
    require_tokens(view, 1);
    const std::vector<Dim>&x = view.input(0).dims, &mask = view.input(1).dims;
    if (!(x[0] == mask[0]) || !(x[1] == mask[1]))
      view.fail(fmt::format("the mask is {}, expected int64[{}, {}] for {}", text(view.input(1)), x[0].text(), x[1].text(), text(view.input(0))));
    return {{view.input(0).dtype, {x[0], x[2]}}};
  }

  Dim macs(const NodeView& view) const override {  // each value times its mask
    return product(view.input(0).dims, 0, 3);
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "is averaged over", 2);
    freeze_axes(rule, 1, "is the axis of a mask");
    const Atoms atoms = rule.input(0, 2);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

/// A channel that is 0 adds nothing to the norm: removing it is as masking it, unlike in norms that take a mean.
class L2Normalize : public Unary {
 public:
  L2Normalize() : Unary("l2_normalize", "x over its Euclidean norm along the last axis", {{"eps", AttrType::kFloat, 1e-12, 0, 1}}) {}

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_rank_at_least(view, 0, 1);
    return Unary::infer(view);
  }
};

const OpRegistrar key_mask{std::make_unique<KeyMask>()};
const OpRegistrar position_ids{std::make_unique<PositionIds>()};
const OpRegistrar masked_mean{std::make_unique<MaskedMean>()};
const OpRegistrar l2_normalize{std::make_unique<L2Normalize>()};

}  // namespace ds::graph::opset::tokens
