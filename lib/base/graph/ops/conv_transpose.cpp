#include <fmt/format.h>

#include <algorithm>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::conv_transpose {

/// The transpose of conv2d (its gradient to the input): each input pixel adds a kernel's worth of pixels to the output. The weight is stored
/// [in, out / groups, height, width], as PyTorch does.
class ConvTranspose2d : public Op {
 public:
  ConvTranspose2d() {
    name = "conv_transpose2d";
    summary = "transposed 2-D convolution of [N, C, H, W]: sides grow to (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1";
    attrs = {{"out_channels", AttrType::kInt, nullptr, 1, kMaxSize},
             {"kernel", AttrType::kInts, nullptr, 1, 4096},
             {"stride", AttrType::kInts, {1, 1}, 1, 4096},
             {"padding", AttrType::kInts, {0, 0}, 0, 4096},
             {"output_padding", AttrType::kInts, {0, 0}, 0, 4096},
             {"dilation", AttrType::kInts, {1, 1}, 1, 4096},
             {"groups", AttrType::kInt, 1, 1, kMaxSize}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const std::int64_t fan_in = s.out / s.groups * s.kernel[0] * s.kernel[1];  // as PyTorch counts it: of the axis after the first
    return {weight_slot({s.in, s.out / s.groups, s.kernel[0], s.kernel[1]}, fan_in), bias_slot(s.out, fan_in)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const auto stride = pair(view, "stride"), padding = pair(view, "padding"), more = pair(view, "output_padding"), dilation = pair(view, "dilation");
    ValueType type = view.input();
    type.dims[1] = s.out;
    for (std::size_t i = 0; i < 2; ++i) {
      if (more[i] >= std::max(stride[i], dilation[i]))
        view.fail(fmt::format("output_padding is {}, expected less than the stride ({}) or the dilation ({})", more[i], stride[i], dilation[i]));
      Dim& side = type.dims[2 + i];
      side = (side - Dim(1)) * Dim(stride[i]) + Dim(dilation[i] * (s.kernel[i] - 1) + more[i] + 1 - 2 * padding[i]);
      if (side.is_known() && side.value() < 1) view.fail(fmt::format("padding of {} leaves nothing of {}", padding[i], text(view.input())));
    }
    return {type};
  }

  Dim macs(const NodeView& view) const override {
    const Sizes s = sizes(view);
    return product(view.input().dims, 0, 4) * Dim(s.out / s.groups * s.kernel[0] * s.kernel[1]);
  }

  void channels(ChannelRule& rule) const override {
    const Sizes s = sizes(rule.view());
    freeze_axes(rule, 0, "a convolution slides over this axis", 1);
    const Atoms in = rule.slot("weight", 0), part = rule.slot("weight", 1);
    rule.unify(rule.input(0, 1), in);
    if (s.groups > 1) tie_groups(rule, in, s.groups);  // groups stay equal in size: position p of every group is one class
    Atoms out;
    for (std::int64_t g = 0; g < s.groups; ++g) out.insert(out.end(), part.begin(), part.end());
    if (rule.view().has_slot("bias")) rule.unify(out, rule.slot("bias", 0));
    rule.output(0, 1, out);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override {
    attrs["out_channels"] = view.slot_shape("weight")[1] * view.i("groups");
  }

 private:
  struct Sizes {
    std::int64_t in, out, groups;
    std::vector<std::int64_t> kernel;
  };

  static Sizes sizes(const NodeView& view) {
    require_float(view);
    require_rank(view, 0, 4);
    const Sizes s{known(view, 0, 1, "channels"), view.i("out_channels"), view.i("groups"), pair(view, "kernel")};
    if (s.in % s.groups != 0 || s.out % s.groups != 0)
      view.fail(fmt::format("{} input and {} output channels cannot be divided into {} groups", s.in, s.out, s.groups));
    return s;
  }
};

const OpRegistrar conv_transpose2d{std::make_unique<ConvTranspose2d>()};

}  // namespace ds::graph::opset::conv_transpose
