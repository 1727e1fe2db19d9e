// Ops whose output comes from a tensor of the table.
#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::source {

class Embedding : public Op {
 public:
  Embedding() {
    name = "embedding";
    summary = "rows of a table by index";
    attrs = {{"num_embeddings", AttrType::kInt, nullptr, 1, kMaxSize}, {"dim", AttrType::kInt, nullptr, 1, kMaxSize}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    return {{.name = "weight", .shape = {view.i("num_embeddings"), view.i("dim")}, .init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 1.0}}}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    if (view.input().dtype != DType::kI64) view.fail(fmt::format("input 0 is {}, expected int64", text(view.input())));
    ValueType type{view.slot_dtype("weight"), view.input().dims};
    type.dims.push_back(view.i("dim"));
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    rule.freeze(rule.slot("weight", 0), "is a row of an embedding");
    pass_axes(rule);
    rule.output(0, rank(rule.view()), rule.slot("weight", 1));
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { attrs["dim"] = view.slot_shape("weight")[1]; }
};

/// Channels are axis 1 where there are four axes, else the last one of more than one element ([C, 1, 1] scales the channels of images);
/// no other axis is tracked.
class FreeTensor : public Op {
 public:
  FreeTensor() {
    name = "tensor";
    summary = "a tensor of the table; with an input it is repeated along axis 0 to that input's size";
    min_inputs = 0;
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    if (!view.has_slot("value")) view.fail("slot 'value' is missing");
    return {{.name = "value", .shape = view.slot_shape("value"), .dtype = view.slot_dtype("value")}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const std::vector<std::int64_t> shape = view.slot_shape("value");
    ValueType type{view.slot_dtype("value"), {shape.begin(), shape.end()}};
    if (view.inputs().empty()) return {type};
    require_rank_at_least(view, 0, 1);
    if (shape.empty() || shape[0] != 1) view.fail(fmt::format("its tensor is {}, expected size 1 at axis 0 to repeat along", text(type)));
    type.dims[0] = view.input().dims[0];
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const std::vector<std::int64_t> shape = rule.view().slot_shape("value");
    const int axes = static_cast<int>(shape.size());
    int axis = axes == 4 ? 1 : axes - 1;
    while (axes != 4 && axis > 0 && shape[static_cast<std::size_t>(axis)] == 1) --axis;
    if (axes == 0 || (axis == 0 && !rule.view().inputs().empty())) return;
    rule.output(0, axis, rule.slot("value", axis));
  }
};

const OpRegistrar embedding{std::make_unique<Embedding>()};
const OpRegistrar tensor{std::make_unique<FreeTensor>()};

}  // namespace ds::graph::opset::source
