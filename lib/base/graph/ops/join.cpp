#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::join {

const AttrSpec kAxis{"axis", AttrType::kInt, nullptr, -8, 7};

int axis(const NodeView& view) {
  require_rank_at_least(view, 0, 1);
  return axis_of(view, view.i("axis"), rank(view));
}

/// How many of the elements before `position` stay.
std::int64_t moved(const NodeView& old, int axis, std::int64_t position) {
  const std::vector<std::int64_t>* kept = old.kept(0, axis);
  return kept == nullptr ? position : std::lower_bound(kept->begin(), kept->end(), position) - kept->begin();
}

class Concat : public Op {
 public:
  Concat() {
    name = "concat";
    summary = "inputs one after the other along an axis";
    attrs = {kAxis};
    max_inputs = -1;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const int along = axis(view);
    ValueType type = view.input();
    for (std::size_t i = 1; i < view.inputs().size(); ++i) {
      const ValueType& x = view.input(i);
      bool fits = x.dtype == type.dtype && x.dims.size() == type.dims.size();
      for (int a = 0; fits && a < rank(view); ++a) fits = a == along || x.dims[static_cast<std::size_t>(a)] == type.dims[static_cast<std::size_t>(a)];
      if (!fits) view.fail(fmt::format("input {} is {}, expected {} in all but axis {}", i, text(x), text(view.input()), along));
      Dim& sum = type.dims[static_cast<std::size_t>(along)];
      sum = sum + x.dims[static_cast<std::size_t>(along)];
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const NodeView& view = rule.view();
    const int along = axis(view);
    for (int a = 0; a < rank(view); ++a) {
      if (a == along) continue;
      Atoms shared = rule.input(0, a);
      for (std::size_t i = 1; i < view.inputs().size(); ++i) {
        const Atoms atoms = rule.input(i, a);
        rule.unify(shared, atoms);
        if (shared.empty()) shared = atoms;
      }
      if (!shared.empty()) rule.output(0, a, shared);
    }
    Atoms all;
    bool tracked = false, sizes_known = true;
    for (std::size_t i = 0; i < view.inputs().size(); ++i) {
      tracked = tracked || !rule.input(i, along).empty();
      sizes_known = sizes_known && view.input(i).dims[static_cast<std::size_t>(along)].is_known();
    }
    if (!tracked) return;
    for (std::size_t i = 0; i < view.inputs().size(); ++i) {
      Atoms atoms = rule.input(i, along);
      if (!sizes_known) {
        rule.freeze(atoms, "is joined with an axis of unknown size");
        continue;
      }
      if (atoms.empty()) {
        atoms = rule.fresh(view.input(i).dims[static_cast<std::size_t>(along)].value());
        rule.freeze(atoms, "is joined from an axis without channels");
      }
      all.insert(all.end(), atoms.begin(), atoms.end());
    }
    if (sizes_known) rule.output(0, along, all);
  }
};

class Split : public Op {
 public:
  Split() {
    name = "split";
    summary = "pieces of the stated sizes along an axis, each an output";
    attrs = {kAxis, {"sizes", AttrType::kInts, nullptr, 1, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const int along = axis(view);
    const std::vector<std::int64_t> sizes = view.ints("sizes");
    const std::int64_t size = known(view, 0, along, "elements to split"), sum = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    if (sum != size)
      view.fail(fmt::format("sizes [{}] make {}, expected {} (axis {} of {})", fmt::join(sizes, ", "), sum, size, along, text(view.input())));
    std::vector<ValueType> types(sizes.size(), view.input());
    for (std::size_t i = 0; i < sizes.size(); ++i) types[i].dims[static_cast<std::size_t>(along)] = sizes[i];
    return types;
  }

  void channels(ChannelRule& rule) const override {
    const int along = axis(rule.view());
    const std::vector<std::int64_t> sizes = rule.view().ints("sizes");
    for (int a = 0; a < rank(rule.view()); ++a) {
      const Atoms atoms = rule.input(0, a);
      if (atoms.empty()) continue;
      std::ptrdiff_t begin = 0;
      for (std::size_t i = 0; i < sizes.size(); begin += sizes[i++])
        rule.output(i, a, a == along ? Atoms(atoms.begin() + begin, atoms.begin() + begin + sizes[i]) : atoms);
    }
  }

  void resize(const NodeView& old, const NodeView&, Json& attrs) const override {
    const int along = axis(old);
    std::vector<std::int64_t> sizes = old.ints("sizes");
    std::int64_t begin = 0;
    for (std::int64_t& size : sizes) {
      const std::int64_t end = begin + size;
      size = moved(old, along, end) - moved(old, along, begin);
      begin = end;
    }
    attrs["sizes"] = sizes;
  }
};

class Slice : public Op {
 public:
  Slice() {
    name = "slice";
    summary = "elements begin to end - 1 of an axis";
    attrs = {kAxis, {"begin", AttrType::kInt, 0, 0, kMaxSize}, {"end", AttrType::kInt, nullptr, 1, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const int along = axis(view);
    const std::int64_t begin = view.i("begin"), end = view.i("end");
    ValueType type = view.input();
    Dim& dim = type.dims[static_cast<std::size_t>(along)];
    if (begin >= end || (dim.is_known() && end > dim.value()))
      view.fail(fmt::format("range {}:{} does not fit axis {} of {}", begin, end, along, text(view.input())));
    dim = end - begin;
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const int along = axis(rule.view());
    pass_axes(rule, 0, along);
    const Atoms atoms = rule.input(0, along);
    if (!atoms.empty()) rule.output(0, along, Atoms(atoms.begin() + rule.view().i("begin"), atoms.begin() + rule.view().i("end")));
  }

  void resize(const NodeView& old, const NodeView&, Json& attrs) const override {
    const int along = axis(old);
    attrs["begin"] = moved(old, along, old.i("begin"));
    attrs["end"] = moved(old, along, old.i("end"));
  }
};

class Select : public Op {
 public:
  Select() {
    name = "select";
    summary = "one element of an axis, which is dropped";
    attrs = {kAxis, {"index", AttrType::kInt, nullptr, 0, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const int along = axis(view);
    ValueType type = view.input();
    const Dim& dim = type.dims[static_cast<std::size_t>(along)];
    if (dim.is_known() && view.i("index") >= dim.value())
      view.fail(fmt::format("index is {}, expected 0 to {} (axis {} of {})", view.i("index"), dim.value() - 1, along, text(view.input())));
    type.dims.erase(type.dims.begin() + along);
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const int along = axis(rule.view());
    for (int a = 0; a < rank(rule.view()); ++a) {
      const Atoms atoms = rule.input(0, a);
      if (atoms.empty()) continue;
      if (a == along) rule.freeze({atoms[static_cast<std::size_t>(rule.view().i("index"))]}, "is selected by its index");
      else rule.output(0, a < along ? a : a - 1, atoms);
    }
  }

  void resize(const NodeView& old, const NodeView&, Json& attrs) const override { attrs["index"] = moved(old, axis(old), old.i("index")); }
};

const OpRegistrar concat{std::make_unique<Concat>()};
const OpRegistrar split{std::make_unique<Split>()};
const OpRegistrar slice{std::make_unique<Slice>()};
const OpRegistrar select{std::make_unique<Select>()};

}  // namespace ds::graph::opset::join
