#include "base/graph/ops/common.h"

namespace ds::graph::opset::linear {

class Linear : public Op {
 public:
  Linear() {
    name = "linear";
    summary = "x W^T + b over the last axis";
    attrs = {{"out_features", AttrType::kInt, nullptr, 1, kMaxSize}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t in = features(view), out = view.i("out_features");
    return {weight_slot({out, in}, in), bias_slot(out, in)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    features(view);
    ValueType type = view.input();
    type.dims.back() = view.i("out_features");
    return {type};
  }

  Dim macs(const NodeView& view) const override {
    const ValueType& x = view.input();
    return product(x.dims, 0, x.dims.size()) * Dim(view.i("out_features"));
  }

  void channels(ChannelRule& rule) const override {
    const int last = rank(rule.view()) - 1;
    const Atoms out = rule.slot("weight", 0);
    rule.unify(rule.input(0, last), rule.slot("weight", 1));
    if (rule.view().has_slot("bias")) rule.unify(out, rule.slot("bias", 0));
    pass_axes(rule, 0, last);
    rule.output(0, last, out);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { attrs["out_features"] = view.slot_shape("weight")[0]; }

 private:
  static std::int64_t features(const NodeView& view) {
    require_float(view);
    require_rank_at_least(view, 0, 1);
    return known(view, 0, rank(view) - 1, "features");
  }
};

const OpRegistrar linear{std::make_unique<Linear>()};

}  // namespace ds::graph::opset::linear
