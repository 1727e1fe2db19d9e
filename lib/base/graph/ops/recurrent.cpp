// Recurrent layers, one direction of one layer a node. Layers and directions of torch.nn.LSTM are nodes of their own, and its outputs of two
// directions a concat: each loses its own hidden units.
#include <fmt/format.h>

#include <cmath>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::recurrent {

/// Rows of the weights and biases are those of the gates one after the other, in PyTorch's order: input, forget, cell, output of an LSTM
/// (Hochreiter and Schmidhuber 1997; Gers et al. 2000), reset, update, new of a GRU (Cho et al. 2014, arXiv:1406.1078, with the reset gate
/// behind the product, as cuDNN has it). State 0 comes before the first token.
class Recurrent : public Op {
 public:
  Recurrent(std::string name_, std::string summary_, std::int64_t gates) : gates_(gates) {
    name = std::move(name_);
    summary = std::move(summary_);
    attrs = {{"hidden", AttrType::kInt, nullptr, 1, kMaxSize}, {"reverse", AttrType::kBool, false}};
    max_inputs = 2;
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const std::int64_t hidden = view.i("hidden"), rows = gates_ * hidden;
    const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
    const auto slot = [&](const char* slot_name, std::vector<std::int64_t> shape) {
      const bool bias = shape.size() == 1;
      return SlotSpec{.name = slot_name, .optional = bias, .shape = std::move(shape), .init = {{"kind", "uniform"}, {"a", -bound}, {"b", bound}}};
    };
    return {slot("weight_ih", {rows, features(view)}), slot("weight_hh", {rows, hidden}), slot("bias_ih", {rows}), slot("bias_hh", {rows})};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    features(view);
    if (view.has_slot("bias_ih") != view.has_slot("bias_hh")) view.fail("has one of bias_ih and bias_hh, expected both or none");
    const std::vector<Dim>& x = view.input().dims;
    if (view.inputs().size() > 1) {
      const ValueType& mask = view.input(1);
      if (mask.dtype != DType::kI64 || mask.dims.size() != 2 || !(mask.dims[0] == x[0]) || !(mask.dims[1] == x[1]))
        view.fail(fmt::format("the mask is {}, expected int64[{}, {}] for {}", text(mask), x[0].text(), x[1].text(), text(view.input())));
    }
    return {{view.input().dtype, {x[0], x[1], view.i("hidden")}}};
  }

  Dim macs(const NodeView& view) const override {
    const std::vector<Dim>& x = view.input().dims;
    return x[0] * x[1] * Dim(gates_ * view.i("hidden")) * Dim(features(view) + view.i("hidden"));
  }

  /// A hidden unit is a row of every gate and a column of weight_hh. With all of its rows at 0 its state stays 0.
  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "a recurrent layer runs over this axis", 2);
    if (rule.view().inputs().size() > 1) freeze_axes(rule, 1, "is an axis of a mask");
    rule.unify(rule.input(0, 2), rule.slot("weight_ih", 1));
    const Atoms hidden = rule.slot("weight_hh", 1);
    for (const char* name : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      if (!rule.view().has_slot(name)) continue;
      const Atoms rows = rule.slot(name, 0);
      for (std::size_t i = 0; i < rows.size(); ++i) rule.unify(hidden[i % hidden.size()], rows[i]);
    }
    rule.output(0, 2, hidden);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { attrs["hidden"] = view.slot_shape("weight_hh")[1]; }

 private:
  static std::int64_t features(const NodeView& view) {
    require_float(view);
    require_rank(view, 0, 3);
    return known(view, 0, 2, "features");
  }

  std::int64_t gates_;
};

constexpr const char* kRest =
    " over [N, S, F], or from the last token to the first; a mask, int64 [N, S], has 0 behind each sequence's end, where the output is 0";

const OpRegistrar lstm{std::make_unique<Recurrent>("lstm", std::string("long short-term memory") + kRest, 4)};
const OpRegistrar gru{std::make_unique<Recurrent>("gru", std::string("gated recurrent units") + kRest, 3)};

}  // namespace ds::graph::opset::recurrent
