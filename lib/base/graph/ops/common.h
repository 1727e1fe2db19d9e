// What the op schemas share: checks of inputs, initialisers of slots, sizes of windows, and the channel rule of ops that keep axes.
#pragma once
#include <string>
#include <vector>

#include "base/graph/channels.h"
#include "base/graph/schema.h"

namespace ds::graph::opset {

/// Largest value of a size attribute: keeps products of a few of them far below 2^63.
inline constexpr double kMaxSize = 1 << 24;

inline int rank(const NodeView& view, std::size_t i = 0) { return static_cast<int>(view.input(i).dims.size()); }
std::string text(const ValueType& type);  ///< "float32[N, 3, 32, 32]"

/// Fail through the view, naming the type that is there.
void require_float(const NodeView& view, std::size_t i = 0);
void require_rank(const NodeView& view, std::size_t i, int rank);
void require_rank_at_least(const NodeView& view, std::size_t i, int rank);
/// The size of an axis, which must be known: `what` names it in the message ("channels").
std::int64_t known(const NodeView& view, std::size_t i, int axis, const std::string& what);
/// The axis that an attribute states, counted from 0. Fails where the input of that rank does not have it.
int axis_of(const NodeView& view, std::int64_t stated, int rank, const std::string& name = "axis");
/// An attribute of exactly two integers: [height, width].
std::vector<std::int64_t> pair(const NodeView& view, const std::string& name);
/// The padding of a convolution by its attribute, [height, width] or [top, left, bottom, right]: always the four.
std::vector<std::int64_t> sides(const NodeView& view, const std::string& name);
/// Positions of a window: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. Fails where a known size is too small.
/// `ceil`: rounded up instead, as long as the last window begins within the values or the padding before them (PyTorch's ceil_mode).
Dim window(const NodeView& view, const Dim& size, std::int64_t kernel, std::int64_t stride, std::int64_t padding, std::int64_t dilation = 1,
           bool ceil = false);
Dim product(const std::vector<Dim>& dims, std::size_t begin, std::size_t end);

/// PyTorch's defaults of conv and linear: kaiming_uniform(a = sqrt(5)) for weights, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for biases.
SlotSpec weight_slot(std::vector<std::int64_t> shape, std::int64_t fan_in);
SlotSpec bias_slot(std::int64_t n, std::int64_t fan_in);
SlotSpec filled_slot(const std::string& name, Role role, std::int64_t n, double value);

/// Output 0 has the atoms of input i on every axis but `except`.
void pass_axes(ChannelRule& rule, std::size_t i = 0, int except = -1);
/// Freezes every tracked axis of input i but `except`.
void freeze_axes(ChannelRule& rule, std::size_t i, const std::string& reason, int except = -1);
/// Joins position k of every one of `groups` equal parts, so that all parts lose the same.
void tie_groups(ChannelRule& rule, const Atoms& atoms, std::int64_t groups);

/// Ops of one input that change values but no axis.
class Unary : public Op {
 public:
  Unary(std::string name, std::string summary, std::vector<AttrSpec> attrs = {}, bool any_dtype = false);
  std::vector<ValueType> infer(const NodeView& view) const override;
  void channels(ChannelRule& rule) const override;

 private:
  bool any_dtype_;
};

}  // namespace ds::graph::opset
