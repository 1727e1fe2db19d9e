// Ops that move elements, or make them of sizes
#include <ATen/ATen.h>

#include <algorithm>

#include "engine/reference/call.h"

namespace ds::reference::shape {

using Values = std::vector<at::Tensor>;
using Sizes = std::vector<std::int64_t>;

at::Tensor list(const Sizes& values) { return at::tensor(values, at::kLong); }

Values constant(const Call& c) {
  if (const at::Tensor value = c.tensor("value"); value.defined()) return {value};
  if (c.stated("value_int")) return {at::scalar_tensor(c.i("value_int", 0), at::kLong)};
  if (c.stated("value_float")) return {at::scalar_tensor(c.f("value_float", 0), at::kFloat)};
  if (c.stated("value_ints")) return {list(c.ints("value_ints", {}))};
  c.fail("has no value that is read here");
}

Values constant_of_shape(const Call& c) {
  const at::Tensor value = c.tensor("value");
  if (!value.defined()) return {at::zeros(c.integers(0), at::kFloat)};
  return {value.reshape({}).expand(c.integers(0)).contiguous()};
}

Values shape_of(const Call& c) {
  const std::int64_t rank = c.in().dim();
  const auto held = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = held(c.i("start", 0)), end = std::max(begin, held(c.i("end", rank)));
  const Sizes sizes = c.in().sizes().vec();
  return {list({sizes.begin() + begin, sizes.begin() + end})};
}

Values size(const Call& c) { return {at::scalar_tensor(c.in().numel(), at::kLong)}; }

Values reshape(const Call& c) {
  Sizes to = c.has(1) ? c.integers(1) : c.ints("shape", {});
  for (std::size_t i = 0; i < to.size(); ++i)
    if (to[i] == 0 && c.i("allowzero", 0) == 0) to[i] = c.in().size(static_cast<std::int64_t>(i));
  return {c.in().reshape(to)};
}

Values flatten(const Call& c) {
  const std::int64_t rank = c.in().dim(), stated = c.i("axis", 1), axis = stated < 0 ? stated + rank : stated;
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < std::min(axis, rank); ++i) rows *= c.in().size(i);
  return {c.in().reshape({rows, rows == 0 ? 0 : c.in().numel() / rows})};
}

Values transpose(const Call& c) {
  Sizes reverse;
  for (std::int64_t i = c.in().dim(); i-- > 0;) reverse.push_back(i);
  return {c.in().permute(c.ints("perm", reverse)).contiguous()};
}

Sizes axes_of(const Call& c, std::int64_t rank) {
  Sizes axes = c.has(1) ? c.integers(1) : c.ints("axes", {});
  for (std::int64_t& axis : axes) axis = c.axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  return axes;
}

Values squeeze(const Call& c) {
  at::Tensor y = c.in();
  if (!c.has(1) && !c.stated("axes")) return {y.squeeze()};
  const Sizes axes = axes_of(c, y.dim());
  for (std::size_t i = axes.size(); i-- > 0;) {
    if (y.size(axes[i]) != 1) c.fail("takes away an axis that is not of size 1");
    y = y.squeeze(axes[i]);
  }
  return {y};
}

Values unsqueeze(const Call& c) {
  at::Tensor y = c.in();
  const std::int64_t more = c.has(1) ? c.in(1).numel() : static_cast<std::int64_t>(c.ints("axes", {}).size());
  for (const std::int64_t axis : axes_of(c, y.dim() + more)) y = y.unsqueeze(axis);
  return {y};
}

Values concat(const Call& c) {
  Values parts;
  for (std::size_t i = 0; i < c.inputs(); ++i) parts.push_back(c.in(i));
  return {at::cat(parts, c.i("axis", 0))};
}

Values split(const Call& c) {
  const std::int64_t axis = c.axis(c.i("axis", 0), c.in().dim()), n = c.in().size(axis), parts = static_cast<std::int64_t>(c.outputs());
  Sizes sizes = c.has(1) ? c.integers(1) : c.ints("split", {});
  if (sizes.empty()) {
    const std::int64_t each = (n + parts - 1) / parts;
    sizes.assign(static_cast<std::size_t>(parts), each);
    sizes.back() = n - each * (parts - 1);
  }
  return c.in().split_with_sizes(sizes, axis);
}

Values slice(const Call& c) {
  const bool old = !c.has(1);
  const Sizes begins = old ? c.ints("starts", {}) : c.integers(1), ends = old ? c.ints("ends", {}) : c.integers(2);
  Sizes axes = old ? c.ints("axes", {}) : c.has(3) ? c.integers(3) : Sizes{};
  const Sizes steps = c.has(4) ? c.integers(4) : Sizes(begins.size(), 1);
  if (axes.empty())
    for (std::size_t i = 0; i < begins.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  at::Tensor y = c.in();
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const std::int64_t axis = c.axis(axes.at(i), y.dim()), n = y.size(axis), step = steps.at(i);
    const auto counted = [n](std::int64_t at) { return at < 0 ? at + n : at; };
    if (step > 0) {
      const std::int64_t begin = std::clamp<std::int64_t>(counted(begins[i]), 0, n), end = std::clamp<std::int64_t>(counted(ends.at(i)), begin, n);
      y = y.slice(axis, begin, end, step);
    } else {  // backwards: the same places of the axis turned round
      if (step == 0) c.fail("has a step of 0");
      const std::int64_t begin = std::clamp<std::int64_t>(counted(begins[i]), -1, n - 1);
      const std::int64_t end = ends.at(i) < -n ? -1 : std::clamp<std::int64_t>(counted(ends[i]), -1, begin);
      y = y.flip(axis).slice(axis, n - 1 - begin, n - 1 - end, -step);
    }
  }
  return {y.contiguous()};
}

/// Rows of an axis by any shape of indices, which may count from the end.
Values gather(const Call& c) {
  const at::Tensor &x = c.in(0), &index = c.in(1);
  const std::int64_t axis = c.axis(c.i("axis", 0), x.dim()), n = x.size(axis);
  const at::Tensor flat = index.to(at::kLong).reshape({-1});
  const at::Tensor rows = x.index_select(axis, at::where(flat.lt(0), flat.add(n), flat));
  Sizes shape = x.sizes().vec();
  shape.erase(shape.begin() + axis);
  const Sizes more = index.sizes().vec();
  shape.insert(shape.begin() + axis, more.begin(), more.end());
  return {rows.reshape(shape)};
}

Values gather_elements(const Call& c) {
  const std::int64_t axis = c.axis(c.i("axis", 0), c.in().dim()), n = c.in().size(axis);
  const at::Tensor index = c.in(1).to(at::kLong);
  return {c.in().gather(axis, at::where(index.lt(0), index.add(n), index))};
}

/// The last axis of the indices says where in the axes behind the `batch_dims` that both share.
Values gather_nd(const Call& c) {
  const std::int64_t batch = c.i("batch_dims", 0);
  const at::Tensor index = c.in(1).to(at::kLong);
  const std::int64_t depth = index.size(-1);
  c10::List<std::optional<at::Tensor>> places;
  for (std::int64_t b = 0; b < batch; ++b) {
    Sizes shape(static_cast<std::size_t>(index.dim() - 1), 1);
    shape.at(static_cast<std::size_t>(b)) = index.size(b);
    places.push_back(std::optional<at::Tensor>(at::arange(index.size(b), at::kLong).view(shape)));
  }
  for (std::int64_t d = 0; d < depth; ++d) {
    const at::Tensor at = index.select(-1, d);
    places.push_back(std::optional<at::Tensor>(at::where(at.lt(0), at.add(c.in().size(batch + d)), at)));
  }
  return {at::index(c.in(), places)};
}

Values scatter_nd(const Call& c) {
  if (c.s("reduction", "none") != "none") c.fail("has a reduction");
  const at::Tensor index = c.in(1).to(at::kLong);
  c10::List<std::optional<at::Tensor>> places;
  for (std::int64_t d = 0; d < index.size(-1); ++d) places.push_back(std::optional<at::Tensor>(index.select(-1, d)));
  return {at::index_put(c.in(), places, c.in(2))};
}

/// Both ways: the larger of two sizes where one of them is 1.
Values expand(const Call& c) {
  Sizes to = c.integers(1), from = c.in().sizes().vec();
  while (from.size() < to.size()) from.insert(from.begin(), 1);
  while (to.size() < from.size()) to.insert(to.begin(), 1);
  for (std::size_t i = 0; i < to.size(); ++i)
    if (to[i] == 1) to[i] = from[i];
  return {c.in().expand(to).contiguous()};
}

Values tile(const Call& c) { return {c.in().repeat(c.integers(1))}; }

Values range(const Call& c) {
  const at::Tensor &begin = c.in(0), &end = c.in(1), &step = c.in(2);
  return {at::arange(begin.item(), end.item(), step.item(), begin.options())};
}

Values pad(const Call& c) {
  const std::int64_t rank = c.in().dim();
  const Sizes pads = c.has(1) ? c.integers(1) : c.ints("pads", {});
  if (static_cast<std::int64_t>(pads.size()) != 2 * rank || c.has(3)) c.fail("states pads for some axes alone");
  if (const std::string mode = c.s("mode", "constant"); mode != "constant") c.fail("has mode " + mode);
  Sizes from_last;
  for (auto axis = static_cast<std::size_t>(rank); axis-- > 0;) {
    from_last.push_back(pads.at(axis));
    from_last.push_back(pads.at(axis + static_cast<std::size_t>(rank)));
  }
  return {at::constant_pad_nd(c.in(), from_last, c.has(2) ? c.number(2) : c.f("value", 0))};
}

Values trilu(const Call& c) {
  const std::int64_t diagonal = c.has(1) ? c.integers(1).at(0) : 0;
  // Not by products: minus infinity times 0 is no number.
  return {c.i("upper", 1) != 0 ? at::triu(c.in(), diagonal) : at::tril(c.in(), diagonal)};
}

Values cum_sum(const Call& c) {
  if (c.i("exclusive", 0) != 0 || c.i("reverse", 0) != 0) c.fail("is exclusive or in reverse");
  return {at::cumsum(c.in(), c.integers(1).at(0), c.in().scalar_type())};
}

const core::Body<NodeOp> bodies[] = {
    {"onnx-reference", "Constant", constant},     {"onnx-reference", "ConstantOfShape", constant_of_shape},
    {"onnx-reference", "Shape", shape_of},        {"onnx-reference", "Size", size},
    {"onnx-reference", "Reshape", reshape},       {"onnx-reference", "Flatten", flatten},
    {"onnx-reference", "Transpose", transpose},   {"onnx-reference", "Squeeze", squeeze},
    {"onnx-reference", "Unsqueeze", unsqueeze},   {"onnx-reference", "Concat", concat},
    {"onnx-reference", "Split", split},           {"onnx-reference", "Slice", slice},
    {"onnx-reference", "Gather", gather},         {"onnx-reference", "GatherElements", gather_elements},
    {"onnx-reference", "GatherND", gather_nd},    {"onnx-reference", "ScatterND", scatter_nd},
    {"onnx-reference", "Expand", expand},         {"onnx-reference", "Tile", tile},
    {"onnx-reference", "Range", range},           {"onnx-reference", "Pad", pad},
    {"onnx-reference", "Trilu", trilu},           {"onnx-reference", "CumSum", cum_sum}};

}  // namespace ds::reference::shape
