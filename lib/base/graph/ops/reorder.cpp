#include <fmt/format.h>

#include <algorithm>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::reorder {

/// A channel shuffle (Zhang et al. 2018, "ShuffleNet", arXiv:1707.01083, section 3.1) is one order. It is written out, since a shuffle by
/// groups is none of equal groups any more when some channels are gone: each channel keeps its place between those that stay.
class Reorder : public Op {
 public:
  Reorder() {
    name = "reorder";
    summary = "elements of an axis in another order: element i of the output is element order[i] of the input";
    attrs = {{"axis", AttrType::kInt, nullptr, -8, 7}, {"order", AttrType::kInts, nullptr, 0, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_rank_at_least(view, 0, 1);
    const std::vector<std::int64_t> order = view.ints("order");
    const int axis = axis_of(view, view.i("axis"), rank(view));
    const auto size = static_cast<std::size_t>(known(view, 0, axis, "elements to reorder"));
    std::vector<bool> seen(size, false);
    if (order.size() != size) view.fail(fmt::format("order has {} numbers, expected {} (axis {} of {})", order.size(), size, axis, text(view.input())));
    for (const std::int64_t from : order) {
      const auto i = static_cast<std::size_t>(from);
      if (i >= size || seen[i]) view.fail(fmt::format("order has {}{}, expected each of 0 to {} once", from, i < size ? " twice" : "", size - 1));
      seen[i] = true;
    }
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    const int axis = axis_of(rule.view(), rule.view().i("axis"), rank(rule.view()));
    pass_axes(rule, 0, axis);
    const Atoms atoms = rule.input(0, axis);
    if (atoms.empty()) return;
    Atoms ordered;
    for (const std::int64_t from : rule.view().ints("order")) ordered.push_back(atoms[static_cast<std::size_t>(from)]);
    rule.output(0, axis, ordered);
  }

  void resize(const NodeView& old, const NodeView&, Json& attrs) const override {
    const std::vector<std::int64_t>* kept = old.kept(0, axis_of(old, old.i("axis"), rank(old)));
    if (kept == nullptr) return;
    std::vector<std::int64_t> order;
    for (const std::int64_t from : old.ints("order")) {
      const auto at = std::lower_bound(kept->begin(), kept->end(), from);
      if (at != kept->end() && *at == from) order.push_back(at - kept->begin());
    }
    attrs["order"] = order;
  }
};

const OpRegistrar reorder{std::make_unique<Reorder>()};

}  // namespace ds::graph::opset::reorder
