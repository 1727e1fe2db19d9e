#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::pool {

class Pool2d : public Op {
 public:
  Pool2d(std::string name_, std::string summary_, std::vector<AttrSpec> more = {}) {
    name = std::move(name_);
    summary = std::move(summary_);
    attrs = {
        {"kernel", AttrType::kInts, nullptr, 1, 4096}, {"stride", AttrType::kInts, nullptr, 1, 4096}, {"padding", AttrType::kInts, {0, 0}, 0, 4096}};
    attrs.insert(attrs.end(), more.begin(), more.end());
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 4);
    const auto kernel = pair(view, "kernel"), stride = pair(view, "stride"), padding = pair(view, "padding");
    const bool ceil = name == "max_pool2d" && view.b("ceil_mode");
    ValueType type = view.input();
    for (std::size_t i = 0; i < 2; ++i) {
      if (2 * padding[i] > kernel[i]) view.fail(fmt::format("padding is {}, expected at most half of the kernel's {}", padding[i], kernel[i]));
      type.dims[2 + i] = window(view, type.dims[2 + i], kernel[i], stride[i], padding[i], 1, ceil);
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "pooling slides over this axis", 1);
    const Atoms atoms = rule.input(0, 1);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

class AdaptiveAvgPool2d : public Op {
 public:
  AdaptiveAvgPool2d() {
    name = "adaptive_avg_pool2d";
    summary = "mean of each of size[0] x size[1] windows that cover [N, C, H, W]: rows floor(i H / size[0]) to ceil((i + 1) H / size[0]), columns alike";
    attrs = {{"size", AttrType::kInts, nullptr, 1, 4096}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 4);
    const auto size = pair(view, "size");
    const ValueType& x = view.input();
    return {{x.dtype, {x.dims[0], x.dims[1], size[0], size[1]}}};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "pooling averages over this axis", 1);
    const Atoms atoms = rule.input(0, 1);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

class GlobalAvgPool : public Op {
 public:
  GlobalAvgPool() {
    name = "global_avg_pool";
    summary = "mean over height and width: [N, C, H, W] to [N, C, 1, 1]";
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 4);
    const ValueType& x = view.input();
    return {{x.dtype, {x.dims[0], x.dims[1], 1, 1}}};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "pooling averages over this axis", 1);
    const Atoms atoms = rule.input(0, 1);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

class Mean : public Op {
 public:
  Mean() {
    name = "mean";
    summary = "mean over the stated axes";
    attrs = {{"axes", AttrType::kInts, nullptr, -8, 7}, {"keepdim", AttrType::kBool, false}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    const std::vector<bool> reduced = reduced_axes(view);
    ValueType type{view.input().dtype, {}};
    for (std::size_t axis = 0; axis < reduced.size(); ++axis) {
      if (!reduced[axis]) type.dims.push_back(view.input().dims[axis]);
      else if (view.b("keepdim")) type.dims.push_back(1);
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const std::vector<bool> reduced = reduced_axes(rule.view());
    const bool keep = rule.view().b("keepdim");
    int out = 0;
    for (std::size_t axis = 0; axis < reduced.size(); ++axis) {
      const Atoms atoms = rule.input(0, static_cast<int>(axis));
      if (reduced[axis] && !atoms.empty()) rule.couple(atoms);  // the mean is then taken over the channels that stay
      if (!reduced[axis] && !atoms.empty()) rule.output(0, out, atoms);
      if (!reduced[axis] || keep) ++out;
    }
  }

 private:
  static std::vector<bool> reduced_axes(const NodeView& view) {
    std::vector<bool> reduced(view.input().dims.size(), false);
    const std::vector<std::int64_t> axes = view.ints("axes");
    if (axes.empty()) view.fail("axes is empty, expected at least one axis");
    for (const std::int64_t stated : axes) {
      const std::size_t axis = static_cast<std::size_t>(axis_of(view, stated, rank(view), "axes"));
      if (reduced[axis]) view.fail(fmt::format("axes has axis {} twice", stated));
      reduced[axis] = true;
    }
    return reduced;
  }
};

const OpRegistrar max_pool2d{std::make_unique<Pool2d>("max_pool2d", "maximum of each window of [N, C, H, W]; padding counts as minus infinity",
                                                      std::vector<AttrSpec>{{"ceil_mode", AttrType::kBool, false}})};
const OpRegistrar avg_pool2d{std::make_unique<Pool2d>("avg_pool2d", "mean of each window of [N, C, H, W]",
                                                      std::vector<AttrSpec>{{"count_include_pad", AttrType::kBool, true}})};
const OpRegistrar adaptive_avg_pool2d{std::make_unique<AdaptiveAvgPool2d>()};
const OpRegistrar global_avg_pool{std::make_unique<GlobalAvgPool>()};
const OpRegistrar mean{std::make_unique<Mean>()};

}  // namespace ds::graph::opset::pool
