#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::norm {

const AttrSpec kEps{"eps", AttrType::kFloat, 1e-5, 0, 1};

/// Running statistics are buffers. PyTorch's num_batches_tracked is left out: it is of use only where momentum is absent.
class BatchNorm2d : public Op {
 public:
  BatchNorm2d() {
    name = "batch_norm2d";
    summary = "normalises each channel of [N, C, H, W] or [N, C] over the batch; running statistics in evaluation";
    attrs = {kEps, {"momentum", AttrType::kFloat, 0.1, 0, 1}};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t n = channels_of(view);
    return {filled_slot("weight", Role::kParameter, n, 1), filled_slot("bias", Role::kParameter, n, 0),
            filled_slot("running_mean", Role::kBuffer, n, 0), filled_slot("running_var", Role::kBuffer, n, 1)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    channels_of(view);
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "batch norm averages over this axis", 1);
    const Atoms weight = rule.slot("weight", 0);
    for (const char* slot : {"bias", "running_mean", "running_var"}) rule.unify(weight, rule.slot(slot, 0));
    rule.unify(rule.input(0, 1), weight);
    rule.output(0, 1, weight);
  }

 private:
  static std::int64_t channels_of(const NodeView& view) {
    require_float(view);
    if (rank(view) != 4 && rank(view) != 2) view.fail(fmt::format("input 0 is {}, expected [N, C, H, W] or [N, C]", text(view.input())));
    return known(view, 0, 1, "channels");
  }
};

std::int64_t features(const NodeView& view) {
  require_float(view);
  require_rank_at_least(view, 0, 1);
  return known(view, 0, rank(view) - 1, "features");
}

class LayerNorm : public Op {
 public:
  LayerNorm() {
    name = "layer_norm";
    summary = "normalises over the last axis";
    attrs = {kEps};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t n = features(view);
    return {filled_slot("weight", Role::kParameter, n, 1), filled_slot("bias", Role::kParameter, n, 0)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    features(view);
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    const int last = rank(rule.view()) - 1;
    const Atoms weight = rule.slot("weight", 0);
    rule.unify(weight, rule.slot("bias", 0));
    rule.unify(rule.input(0, last), weight);
    rule.couple(weight);
    pass_axes(rule, 0, last);
    rule.output(0, last, weight);
  }
};

/// x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4).
class RmsNorm : public Op {
 public:
  RmsNorm() {
    name = "rms_norm";
    summary = "divides by the root of the mean square of the last axis and scales each feature";
    attrs = {kEps};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override { return {filled_slot("weight", Role::kParameter, features(view), 1)}; }

  std::vector<ValueType> infer(const NodeView& view) const override {
    features(view);
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    const int last = rank(rule.view()) - 1;
    const Atoms weight = rule.slot("weight", 0);
    rule.unify(rule.input(0, last), weight);
    rule.couple(weight);
    pass_axes(rule, 0, last);
    rule.output(0, last, weight);
  }
};

class GroupNorm : public Op {
 public:
  GroupNorm() {
    name = "group_norm";
    summary = "normalises each sample over groups of the channels of [N, C, ...]";
    attrs = {{"groups", AttrType::kInt, nullptr, 1, kMaxSize}, kEps};
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t n = channels_of(view);
    return {filled_slot("weight", Role::kParameter, n, 1), filled_slot("bias", Role::kParameter, n, 0)};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    channels_of(view);
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "group norm averages over this axis", 1);
    const Atoms weight = rule.slot("weight", 0);
    rule.unify(weight, rule.slot("bias", 0));
    rule.unify(rule.input(0, 1), weight);
    tie_groups(rule, weight, rule.view().i("groups"));
    rule.couple(weight);
    rule.output(0, 1, weight);
  }

 private:
  static std::int64_t channels_of(const NodeView& view) {
    require_float(view);
    require_rank_at_least(view, 0, 2);
    const std::int64_t n = known(view, 0, 1, "channels"), groups = view.i("groups");
    if (n % groups != 0) view.fail(fmt::format("{} channels cannot be divided into {} groups", n, groups));
    return n;
  }
};

const OpRegistrar batch_norm2d{std::make_unique<BatchNorm2d>()};
const OpRegistrar layer_norm{std::make_unique<LayerNorm>()};
const OpRegistrar rms_norm{std::make_unique<RmsNorm>()};
const OpRegistrar group_norm{std::make_unique<GroupNorm>()};

}  // namespace ds::graph::opset::norm
