#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::conv {

/// The rule of every convolution of [N, C, ...] with weights [out, in / groups, ...].
void join_channels(ChannelRule& rule, std::int64_t in_channels, std::int64_t groups) {
  freeze_axes(rule, 0, "a convolution slides over this axis", 1);
  const Atoms in = rule.input(0, 1), out = rule.slot("weight", 0);
  if (rule.view().has_slot("bias")) rule.unify(out, rule.slot("bias", 0));
  if (groups == in_channels && groups > 1) {  // depthwise: filter c * m + k belongs to channel c
    Atoms repeated;
    for (const Atom atom : in) repeated.insert(repeated.end(), out.size() / static_cast<std::size_t>(in_channels), atom);
    rule.unify(repeated, out);
  } else if (groups == 1) {
    rule.unify(in, rule.slot("weight", 1));
  } else {  // groups stay equal in size: position p of every group is one class
    const Atoms shared = rule.slot("weight", 1);
    tie_groups(rule, in, groups);
    rule.unify(Atoms(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(in.size() / static_cast<std::size_t>(groups))), shared);
    tie_groups(rule, out, groups);
  }
  rule.output(0, 1, out);
}

void resize_channels(const NodeView& view, Json& attrs) {
  const std::vector<std::int64_t> weight = view.slot_shape("weight");
  attrs["out_channels"] = weight[0];
  if (attrs.contains("groups")) attrs["groups"] = known(view, 0, 1, "channels") / weight[1];
}

void require_groups(const NodeView& view, std::int64_t in, std::int64_t out, std::int64_t groups) {
  if (in % groups != 0 || out % groups != 0)
    view.fail(fmt::format("{} input and {} output channels cannot be divided into {} groups", in, out, groups));
}

class Conv2d : public Op {
 public:
  Conv2d() {
    name = "conv2d";
    summary = "2-D convolution of [N, C, H, W], grouped or depthwise too; padding is [height, width] or [top, left, bottom, right]";
    attrs = {{"out_channels", AttrType::kInt, nullptr, 1, kMaxSize},
             {"kernel", AttrType::kInts, nullptr, 1, 4096},
             {"stride", AttrType::kInts, {1, 1}, 1, 4096},
             {"padding", AttrType::kInts, {0, 0}, 0, 4096},
             {"dilation", AttrType::kInts, {1, 1}, 1, 4096},
             {"groups", AttrType::kInt, 1, 1, kMaxSize}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const std::int64_t fan_in = s.in / s.groups * s.kernel[0] * s.kernel[1];
    return {weight_slot({s.out, s.in / s.groups, s.kernel[0], s.kernel[1]}, fan_in), bias_slot(s.out, fan_in)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const auto stride = pair(view, "stride"), padding = sides(view, "padding"), dilation = pair(view, "dilation");
    const ValueType& x = view.input();
    return {{x.dtype,
             {x.dims[0], s.out, window(view, x.dims[2] + Dim(padding[2] - padding[0]), s.kernel[0], stride[0], padding[0], dilation[0]),
              window(view, x.dims[3] + Dim(padding[3] - padding[1]), s.kernel[1], stride[1], padding[1], dilation[1])}}};
  }

  Dim macs(const NodeView& view) const override {
    const Sizes s = sizes(view);
    return product(infer(view)[0].dims, 0, 4) * Dim(s.in / s.groups * s.kernel[0] * s.kernel[1]);
  }

  void channels(ChannelRule& rule) const override { join_channels(rule, sizes(rule.view()).in, sizes(rule.view()).groups); }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { resize_channels(view, attrs); }

 private:
  struct Sizes {
    std::int64_t in, out, groups;
    std::vector<std::int64_t> kernel;
  };

  static Sizes sizes(const NodeView& view) {
    require_float(view);
    require_rank(view, 0, 4);
    const Sizes s{known(view, 0, 1, "channels"), view.i("out_channels"), view.i("groups"), pair(view, "kernel")};
    require_groups(view, s.in, s.out, s.groups);
    return s;
  }
};

class Conv1d : public Op {
 public:
  Conv1d() {
    name = "conv1d";
    summary = "1-D convolution of [N, C, L], grouped or depthwise too; padding is [both] or [before, after]";
    attrs = {{"out_channels", AttrType::kInt, nullptr, 1, kMaxSize},
             {"kernel", AttrType::kInt, nullptr, 1, 4096},
             {"stride", AttrType::kInt, 1, 1, 4096},
             {"padding", AttrType::kInts, {0}, 0, kMaxSize},
             {"dilation", AttrType::kInt, 1, 1, kMaxSize},
             {"groups", AttrType::kInt, 1, 1, kMaxSize}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t in = channels_of(view) / view.i("groups"), out = view.i("out_channels"), kernel = view.i("kernel");
    return {weight_slot({out, in, kernel}, in * kernel), bias_slot(out, in * kernel)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    channels_of(view);
    const std::vector<std::int64_t> padding = view.ints("padding");
    if (padding.empty() || padding.size() > 2)
      view.fail(fmt::format("attribute 'padding' has {} numbers, expected 1 or 2: [both] or [before, after]", padding.size()));
    const ValueType& x = view.input();
    const Dim length = x.dims[2] + Dim(padding.back() - padding[0]);
    return {{x.dtype, {x.dims[0], view.i("out_channels"), window(view, length, view.i("kernel"), view.i("stride"), padding[0], view.i("dilation"))}}};
  }

  Dim macs(const NodeView& view) const override {
    return product(infer(view)[0].dims, 0, 3) * Dim(channels_of(view) / view.i("groups") * view.i("kernel"));
  }

  void channels(ChannelRule& rule) const override { join_channels(rule, channels_of(rule.view()), rule.view().i("groups")); }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { resize_channels(view, attrs); }

 private:
  static std::int64_t channels_of(const NodeView& view) {
    require_float(view);
    require_rank(view, 0, 3);
    const std::int64_t in = known(view, 0, 1, "channels");
    require_groups(view, in, view.i("out_channels"), view.i("groups"));
    return in;
  }
};

const OpRegistrar conv2d{std::make_unique<Conv2d>()};
const OpRegistrar conv1d{std::make_unique<Conv1d>()};

}  // namespace ds::graph::opset::conv
