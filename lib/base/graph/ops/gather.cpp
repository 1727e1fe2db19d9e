#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::gather {

class Gather : public Op {
 public:
  Gather() {
    name = "gather";
    summary = "elements of an axis of the first input by the indices that the second has, int64 of any axes, which take the axis's place";
    attrs = {{"axis", AttrType::kInt, 0, -8, 7}};
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_rank_at_least(view, 0, 1);
    if (view.input(1).dtype != DType::kI64) view.fail(fmt::format("input 1 is {}, expected int64", text(view.input(1))));
    const auto along = static_cast<std::ptrdiff_t>(axis_of(view, view.i("axis"), rank(view)));
    ValueType type = view.input(0);
    type.dims.erase(type.dims.begin() + along);
    type.dims.insert(type.dims.begin() + along, view.input(1).dims.begin(), view.input(1).dims.end());
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const int along = axis_of(rule.view(), rule.view().i("axis"), rank(rule.view())), more = rank(rule.view(), 1) - 1;
    freeze_axes(rule, 1, "is an axis of indices");
    for (int axis = 0; axis < rank(rule.view()); ++axis) {
      const Atoms atoms = rule.input(0, axis);
      if (atoms.empty()) continue;
      if (axis == along) rule.freeze(atoms, "is looked up by its index");
      else rule.output(0, axis < along ? axis : axis + more, atoms);
    }
  }
};

const OpRegistrar gather{std::make_unique<Gather>()};

}  // namespace ds::graph::opset::gather
