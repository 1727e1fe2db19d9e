#include <fmt/format.h>

#include <algorithm>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::pad {

/// The axes that attribute `axes` states, each once, with the numbers of `others` for each of them.
std::vector<int> axes_of(const NodeView& view, const std::vector<const char*>& others) {
  const std::vector<std::int64_t> stated = view.ints("axes");
  std::vector<int> axes;
  for (const std::int64_t axis : stated) {
    axes.push_back(axis_of(view, axis, rank(view), "axes"));
    for (std::size_t i = 0; i + 1 < axes.size(); ++i)
      if (axes[i] == axes.back()) view.fail(fmt::format("axes has axis {} twice", axis));
  }
  for (const char* other : others)
    if (view.ints(other).size() != axes.size())
      view.fail(fmt::format("{} has {} numbers, expected one for each of the {} axes", other, view.ints(other).size(), axes.size()));
  return axes;
}

class Pad : public Op {
 public:
  Pad() {
    name = "pad";
    summary = "before[i] and after[i] elements of one value around those of axes[i]";
    attrs = {{"axes", AttrType::kInts, nullptr, -8, 7},
             {"before", AttrType::kInts, nullptr, 0, kMaxSize},
             {"after", AttrType::kInts, nullptr, 0, kMaxSize},
             {"value", AttrType::kFloat, 0.0}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    const std::vector<int> axes = axes_of(view, {"before", "after"});
    ValueType type = view.input();
    for (std::size_t i = 0; i < axes.size(); ++i) {
      Dim& dim = type.dims[static_cast<std::size_t>(axes[i])];
      dim = dim + Dim(view.ints("before")[i] + view.ints("after")[i]);
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const std::vector<int> axes = axes_of(rule.view(), {"before", "after"});
    for (int axis = 0; axis < rank(rule.view()); ++axis) {
      const Atoms atoms = rule.input(0, axis);
      const auto found = std::find(axes.begin(), axes.end(), axis);
      if (atoms.empty()) continue;
      if (found == axes.end()) {
        rule.output(0, axis, atoms);
        continue;
      }
      const auto i = static_cast<std::size_t>(found - axes.begin());
      Atoms all = rule.fresh(rule.view().ints("before")[i]);
      const Atoms after = rule.fresh(rule.view().ints("after")[i]);
      rule.freeze(all, "is padding");
      rule.freeze(after, "is padding");
      all.insert(all.end(), atoms.begin(), atoms.end());
      all.insert(all.end(), after.begin(), after.end());
      rule.output(0, axis, all);
    }
  }
};

class Roll : public Op {
 public:
  Roll() {
    name = "roll";
    summary = "elements moved by shifts[i] along axes[i]; what leaves at one end enters at the other";
    attrs = {{"axes", AttrType::kInts, nullptr, -8, 7}, {"shifts", AttrType::kInts, nullptr, -kMaxSize, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    axes_of(view, {"shifts"});
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    const std::vector<int> axes = axes_of(rule.view(), {"shifts"});
    for (int axis = 0; axis < rank(rule.view()); ++axis) {
      const Atoms atoms = rule.input(0, axis);
      if (atoms.empty()) continue;
      if (std::find(axes.begin(), axes.end(), axis) == axes.end()) rule.output(0, axis, atoms);
      else rule.freeze(atoms, "is moved along this axis");
    }
  }
};

const OpRegistrar pad{std::make_unique<Pad>()};
const OpRegistrar roll{std::make_unique<Roll>()};

}  // namespace ds::graph::opset::pad
