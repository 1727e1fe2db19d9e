#include <fmt/format.h>

#include <algorithm>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::reshape {

/// Axes [a, b) of the input hold the same elements as axes [c, d) of the output. Axes of size 1 at the end may belong to no segment.
struct Segment {
  std::size_t a, b, c, d;
};

std::vector<Segment> segments(const std::vector<Dim>& in, const std::vector<Dim>& out) {
  std::vector<Segment> result;
  std::size_t a = 0, c = 0;
  while (a < in.size() && c < out.size()) {
    bool found = false;
    for (std::size_t length = 2; !found && length <= in.size() - a + out.size() - c; ++length) {
      for (std::size_t k = 1; !found && k < length; ++k) {
        const std::size_t b = a + k, d = c + length - k;
        if (b > in.size() || d > out.size() || !(product(in, a, b) == product(out, c, d))) continue;
        result.push_back({a, b, c, d});
        a = b, c = d, found = true;
      }
    }
    if (!found) {
      result.push_back({a, in.size(), c, out.size()});
      return result;
    }
  }
  if (result.empty()) return result;
  result.back().b = in.size();
  result.back().d = out.size();
  return result;
}

std::vector<std::size_t> wide_axes(const std::vector<Dim>& dims, std::size_t begin, std::size_t end) {
  std::vector<std::size_t> axes;
  for (std::size_t i = begin; i < end; ++i) {
    if (!(dims[i] == Dim(1))) axes.push_back(i);
  }
  return axes;
}

/// Several axes become one: each element of it has the atom of its coordinate on the one tracked axis.
void merge(ChannelRule& rule, const std::vector<std::size_t>& in, std::size_t out) {
  const std::vector<Dim>& dims = rule.view().input().dims;
  int tracked = 0;
  bool sizes_known = true;
  Atoms atoms;
  std::int64_t outer = 1, inner = 1;
  for (const std::size_t axis : in) {
    const Atoms here = rule.input(0, static_cast<int>(axis));
    sizes_known = sizes_known && dims[axis].is_known();
    const std::int64_t size = dims[axis].is_known() ? dims[axis].value() : 1;
    if (!here.empty()) {
      atoms = here;
      ++tracked;
    } else {
      (tracked ? inner : outer) *= size;
    }
  }
  if (tracked == 0) return;
  if (tracked > 1 || !sizes_known) {
    for (const std::size_t axis : in)
      if (const Atoms here = rule.input(0, static_cast<int>(axis)); !here.empty())
        rule.freeze(here, tracked > 1 ? "is merged with another axis of channels" : "is merged with an axis of unknown size");
    return;
  }
  Atoms merged;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const Atom atom : atoms) merged.insert(merged.end(), static_cast<std::size_t>(inner), atom);
  }
  rule.output(0, static_cast<int>(out), merged);
}

/// One axis becomes several. Where its atoms depend on the coordinate of one of them alone (as after a merge, which repeats them), that one has
/// them; else each element of the outermost is a block of channels that go together.
void split(ChannelRule& rule, std::size_t in, const std::vector<std::size_t>& to, const std::vector<Dim>& out) {
  const Atoms atoms = rule.input(0, static_cast<int>(in));
  if (atoms.empty()) return;
  std::size_t inner = 1;
  bool sizes_known = out[to[0]].is_known();
  for (std::size_t k = 1; k < to.size(); ++k) {
    sizes_known = sizes_known && out[to[k]].is_known();
    if (sizes_known) inner *= static_cast<std::size_t>(out[to[k]].value());
  }
  if (!sizes_known) {
    rule.freeze(atoms, "is divided into parts of unknown number");
    return;
  }
  const std::size_t block = inner;
  for (const std::size_t axis : to) {
    if (axis != to[0]) inner /= static_cast<std::size_t>(out[axis].value());
    const auto size = static_cast<std::size_t>(out[axis].value());
    const auto of_coordinate = [&](std::size_t i) { return atoms[i / inner % size * inner]; };
    std::size_t i = 0;
    while (i < atoms.size() && atoms[i] == of_coordinate(i)) ++i;
    if (i < atoms.size()) continue;
    Atoms own;
    for (std::size_t c = 0; c < size; ++c) own.push_back(atoms[c * inner]);
    return rule.output(0, static_cast<int>(axis), own);
  }
  Atoms first;
  for (std::size_t i = 0; i < atoms.size(); ++i) {
    if (i % block == 0) first.push_back(atoms[i]);
    else rule.unify(first.back(), atoms[i]);
  }
  rule.output(0, static_cast<int>(to[0]), first);
}

/// The axis of those that one became which loses the elements that the one lost: `kept` are those that stay. -1 where none loses any by itself.
std::ptrdiff_t losing_axis(const std::vector<std::int64_t>& kept, const std::vector<std::size_t>& to, const std::vector<Dim>& out, std::int64_t& left) {
  std::int64_t total = 1;
  for (const std::size_t axis : to) total *= out[axis].value();
  std::int64_t inner = total;
  for (std::size_t k = 0; k < to.size(); ++k) {
    const std::int64_t size = out[to[k]].value();
    inner /= size;
    std::vector<bool> stays(static_cast<std::size_t>(size), false);
    for (const std::int64_t i : kept) stays[static_cast<std::size_t>(i / inner % size)] = true;
    left = std::count(stays.begin(), stays.end(), true);
    if (left < size && static_cast<std::int64_t>(kept.size()) == total / size * left) return static_cast<std::ptrdiff_t>(k);
  }
  return -1;
}

/// The rule of every op that keeps the order of the elements and changes only the axes.
void reshape_channels(ChannelRule& rule, const std::vector<Dim>& out) {
  const std::vector<Dim>& in = rule.view().input().dims;
  for (const Segment& s : segments(in, out)) {
    std::vector<std::size_t> from, to = wide_axes(out, s.c, s.d);
    for (std::size_t axis = s.a; axis < s.b; ++axis) {  // a layer of one channel has it on an axis of size 1
      if (!(in[axis] == Dim(1)) || !rule.input(0, static_cast<int>(axis)).empty()) from.push_back(axis);
    }
    if (to.empty() && s.c < s.d) to.push_back(s.c);
    if (from.empty() || to.empty()) {
      for (const std::size_t axis : from)
        if (const Atoms atoms = rule.input(0, static_cast<int>(axis)); !atoms.empty()) rule.freeze(atoms, "loses its axis");
    } else if (from.size() == 1 && to.size() == 1) {
      const Atoms atoms = rule.input(0, static_cast<int>(from[0]));
      if (!atoms.empty()) rule.output(0, static_cast<int>(to[0]), atoms);
    } else if (to.size() == 1) {
      merge(rule, from, to[0]);
    } else if (from.size() == 1) {
      split(rule, from[0], to, out);
    } else {
      for (const std::size_t axis : from)
        if (const Atoms atoms = rule.input(0, static_cast<int>(axis)); !atoms.empty()) rule.freeze(atoms, "is reshaped across axes");
    }
  }
}

class Reshape : public Op {
 public:
  Reshape() {
    name = "reshape";
    summary = "the same elements on other axes: 0 copies that axis of the input, -1 takes what is left";
    attrs = {{"shape", AttrType::kInts, nullptr, -1, static_cast<double>(std::int64_t{1} << 40)}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const std::vector<std::int64_t> shape = view.ints("shape");
    const std::vector<Dim>& in = view.input().dims;
    std::vector<Dim> out(shape.size());
    std::vector<bool> copied(in.size(), false);
    std::int64_t stated = 1, wild = -1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0) {
        if (i >= in.size())
          view.fail(fmt::format("shape [{}] copies axis {}, which {} does not have", fmt::join(shape, ", "), i, text(view.input())));
        out[i] = in[i];
        copied[i] = true;
      } else if (shape[i] == -1) {
        if (wild >= 0) view.fail(fmt::format("shape [{}] has more than one -1", fmt::join(shape, ", ")));
        wild = static_cast<std::int64_t>(i);
      } else {
        if (__builtin_mul_overflow(stated, shape[i], &stated)) view.fail(fmt::format("shape [{}] is too large", fmt::join(shape, ", ")));
        out[i] = shape[i];
      }
    }
    Dim left = 1;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (!copied[i]) left = left * in[i];
    }
    if (wild >= 0) out[static_cast<std::size_t>(wild)] = floor_div(left, stated);
    if (!((wild >= 0 ? floor_div(left, stated) * Dim(stated) : Dim(stated)) == left))
      view.fail(fmt::format("shape [{}] does not hold the elements of {}", fmt::join(shape, ", "), text(view.input())));
    return {{view.input().dtype, out}};
  }

  void channels(ChannelRule& rule) const override { reshape_channels(rule, infer(rule.view())[0].dims); }

  void resize(const NodeView& old, const NodeView& view, Json& attrs) const override {
    const std::vector<Dim>&in = old.input().dims, &now = view.input().dims;
    const std::vector<Dim> out = infer(old)[0].dims;
    std::vector<std::int64_t> shape = old.ints("shape");
    for (const Segment& s : segments(in, out)) {
      const std::vector<std::size_t> to = wide_axes(out, s.c, s.d);
      const Dim before = product(in, s.a, s.b), after = product(now, s.a, s.b);
      if (to.empty() || before == after) continue;
      const std::vector<std::int64_t>* kept = s.b - s.a == 1 && to.size() > 1 ? old.kept(0, static_cast<int>(s.a)) : nullptr;
      std::int64_t left = 0;
      if (const std::ptrdiff_t k = kept == nullptr ? -1 : losing_axis(*kept, to, out, left); k >= 0) {
        if (std::int64_t& size = shape[to[static_cast<std::size_t>(k)]]; size > 0) size = left;
      } else if (shape[to[0]] > 0) {  // the outermost axis carries the change
        shape[to[0]] = floor_div(after, product(out, to[0] + 1, s.d)).value();
      }
    }
    attrs["shape"] = shape;
  }
};

class Flatten : public Op {
 public:
  Flatten() {
    name = "flatten";
    summary = "axes start to end become one";
    attrs = {{"start", AttrType::kInt, 1, -8, 7}, {"end", AttrType::kInt, -1, -8, 7}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_rank_at_least(view, 0, 1);
    const std::vector<Dim>& in = view.input().dims;
    const int start = axis_of(view, view.i("start"), rank(view), "start"), end = axis_of(view, view.i("end"), rank(view), "end");
    if (start > end) view.fail(fmt::format("start is axis {}, end is axis {}: expected start <= end", start, end));
    ValueType type{view.input().dtype, {}};
    type.dims.assign(in.begin(), in.begin() + start);
    type.dims.push_back(product(in, static_cast<std::size_t>(start), static_cast<std::size_t>(end) + 1));
    type.dims.insert(type.dims.end(), in.begin() + end + 1, in.end());
    return {type};
  }

  void channels(ChannelRule& rule) const override { reshape_channels(rule, infer(rule.view())[0].dims); }
};

class Permute : public Op {
 public:
  Permute() {
    name = "permute";
    summary = "axes in another order";
    attrs = {{"dims", AttrType::kInts, nullptr, 0, 7}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const std::vector<std::int64_t> dims = view.ints("dims");
    std::vector<bool> seen(dims.size(), false);
    bool good = dims.size() == view.input().dims.size();
    for (std::size_t i = 0; good && i < dims.size(); ++i) {
      good = dims[i] < static_cast<std::int64_t>(dims.size()) && !seen[static_cast<std::size_t>(dims[i])];
      if (good) seen[static_cast<std::size_t>(dims[i])] = true;
    }
    if (!good) view.fail(fmt::format("dims [{}] are not an order of the axes of {}", fmt::join(dims, ", "), text(view.input())));
    ValueType type{view.input().dtype, {}};
    for (const std::int64_t dim : dims) type.dims.push_back(view.input().dims[static_cast<std::size_t>(dim)]);
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const std::vector<std::int64_t> dims = rule.view().ints("dims");
    for (std::size_t i = 0; i < dims.size(); ++i) {
      const Atoms atoms = rule.input(0, static_cast<int>(dims[i]));
      if (!atoms.empty()) rule.output(0, static_cast<int>(i), atoms);
    }
  }
};

const OpRegistrar reshape_op{std::make_unique<Reshape>()};
const OpRegistrar flatten{std::make_unique<Flatten>()};
const OpRegistrar permute{std::make_unique<Permute>()};

}  // namespace ds::graph::opset::reshape
