#include "base/graph/ops/common.h"

namespace ds::graph::opset::linear {

class Linear : public Op {
 public:
  Linear() {
    name = "linear";
    summary = "x W^T + b over the last axis; transposed: x W + b, the weight being stored [in, out]";
    attrs = {{"out_features", AttrType::kInt, nullptr, 1, kMaxSize}, {"transposed", AttrType::kBool, false}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t in = features(view), out = view.i("out_features");
    return {weight_slot(view.b("transposed") ? std::vector<std::int64_t>{in, out} : std::vector<std::int64_t>{out, in}, in), bias_slot(out, in)};
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
    const int axis = out_axis(rule.view());
    const Atoms out = rule.slot("weight", axis);
    rule.unify(rule.input(0, last), rule.slot("weight", 1 - axis));
    if (rule.view().has_slot("bias")) rule.unify(out, rule.slot("bias", 0));
    pass_axes(rule, 0, last);
    rule.output(0, last, out);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override {
    attrs["out_features"] = view.slot_shape("weight")[static_cast<std::size_t>(out_axis(view))];
  }

 private:
  static int out_axis(const NodeView& view) { return view.b("transposed") ? 1 : 0; }

  static std::int64_t features(const NodeView& view) {
    require_float(view);
    require_rank_at_least(view, 0, 1);
    return known(view, 0, rank(view) - 1, "features");
  }
};

const OpRegistrar linear{std::make_unique<Linear>()};

}  // namespace ds::graph::opset::linear
