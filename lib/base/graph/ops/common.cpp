#include "base/graph/ops/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ds::graph::opset {

std::string text(const ValueType& type) { return type_text(type); }

void require_float(const NodeView& view, std::size_t i) {
  if (!io::is_float(view.input(i).dtype)) view.fail(fmt::format("input {} is {}, expected a float type", i, text(view.input(i))));
}

void require_rank(const NodeView& view, std::size_t i, int rank) {
  if (opset::rank(view, i) != rank) view.fail(fmt::format("input {} is {}, expected {} axes", i, text(view.input(i)), rank));
}

void require_rank_at_least(const NodeView& view, std::size_t i, int rank) {
  if (opset::rank(view, i) < rank) view.fail(fmt::format("input {} is {}, expected at least {} axes", i, text(view.input(i)), rank));
}

std::int64_t known(const NodeView& view, std::size_t i, int axis, const std::string& what) {
  const Dim& dim = view.input(i).dims.at(static_cast<std::size_t>(axis));
  if (!dim.is_known()) view.fail(fmt::format("input {} is {}: the number of {} (axis {}) must be known", i, text(view.input(i)), what, axis));
  return dim.value();
}

int axis_of(const NodeView& view, std::int64_t stated, int rank, const std::string& name) {
  const std::int64_t axis = stated < 0 ? stated + rank : stated;
  if (axis < 0 || axis >= rank) view.fail(fmt::format("{} is {}, expected {} to {} for an input of {} axes", name, stated, -rank, rank - 1, rank));
  return static_cast<int>(axis);
}

std::vector<std::int64_t> pair(const NodeView& view, const std::string& name) {
  std::vector<std::int64_t> values = view.ints(name);
  if (values.size() != 2) view.fail(fmt::format("attribute '{}' has {} numbers, expected 2: [height, width]", name, values.size()));
  return values;
}

std::vector<std::int64_t> sides(const NodeView& view, const std::string& name) {
  std::vector<std::int64_t> values = view.ints(name);
  if (values.size() == 2) return {values[0], values[1], values[0], values[1]};
  if (values.size() != 4)
    view.fail(fmt::format("attribute '{}' has {} numbers, expected 2 or 4: [height, width] or [top, left, bottom, right]", name, values.size()));
  return values;
}

Dim window(const NodeView& view, const Dim& size, std::int64_t kernel, std::int64_t stride, std::int64_t padding, std::int64_t dilation,
           bool ceil) {
  const std::int64_t reach = dilation * (kernel - 1) + 1;
  // How far the last window may stick out: less than a stride, and it begins at size + padding - 1 at the latest.
  const std::int64_t beyond = ceil ? std::min(stride - 1, reach - padding - 1) : 0;
  if (size.is_known() && size.value() + 2 * padding + beyond < reach)
    view.fail(fmt::format("a window of {} does not fit into {} + 2 * {} (size and padding)", reach, size.value(), padding));
  return floor_div(size + Dim(2 * padding + beyond - reach), stride) + Dim(1);
}

Dim product(const std::vector<Dim>& dims, std::size_t begin, std::size_t end) {
  Dim result = 1;
  for (std::size_t i = begin; i < end; ++i) result = result * dims[i];
  return result;
}

SlotSpec weight_slot(std::vector<std::int64_t> shape, std::int64_t fan_in) {
  return {.name = "weight", .shape = std::move(shape), .init = {{"kind", "kaiming_uniform"}, {"a", std::sqrt(5.0)}, {"fan_in", fan_in}}};
}

SlotSpec bias_slot(std::int64_t n, std::int64_t fan_in) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  return {.name = "bias", .optional = true, .shape = {n}, .init = {{"kind", "uniform"}, {"a", -bound}, {"b", bound}}};
}

SlotSpec filled_slot(const std::string& name, Role role, std::int64_t n, double value) {
  return {.name = name, .role = role, .shape = {n}, .init = {{"kind", value == 0 ? "zeros" : "ones"}}};
}

void pass_axes(ChannelRule& rule, std::size_t i, int except) {
  for (int axis = 0; axis < rank(rule.view(), i); ++axis) {
    if (axis == except) continue;
    const Atoms atoms = rule.input(i, axis);
    if (!atoms.empty()) rule.output(0, axis, atoms);
  }
}

void freeze_axes(ChannelRule& rule, std::size_t i, const std::string& reason, int except) {
  for (int axis = 0; axis < rank(rule.view(), i); ++axis) {
    if (axis == except) continue;
    const Atoms atoms = rule.input(i, axis);
    if (!atoms.empty()) rule.freeze(atoms, reason);
  }
}

void tie_groups(ChannelRule& rule, const Atoms& atoms, std::int64_t groups) {
  const std::size_t part = atoms.size() / static_cast<std::size_t>(groups);
  for (std::size_t i = part; i < atoms.size(); ++i) rule.unify(atoms[i], atoms[i % part]);
}

Unary::Unary(std::string name_, std::string summary_, std::vector<AttrSpec> attrs_, bool any_dtype) : any_dtype_(any_dtype) {
  name = std::move(name_);
  summary = std::move(summary_);
  attrs = std::move(attrs_);
}

std::vector<ValueType> Unary::infer(const NodeView& view) const {
  if (!any_dtype_) require_float(view);
  return {view.input()};
}

void Unary::channels(ChannelRule& rule) const { pass_axes(rule); }

}  // namespace ds::graph::opset
