// From a float graph and the ranges of its values to an int8 graph.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/compress/quantize/observer.h"
#include "engine/exec/model.h"

namespace ds::compress {

/// Chains that one int8 op runs: conv2d or linear with what follows (relu; add; add + relu), add + relu.
struct FusedChain {
  std::vector<std::string> nodes;  ///< in order; the last one's value is what the int8 op makes
  std::string residual;            ///< the other operand of an add behind a conv, "" else
};

struct LoweringPlan {
  std::map<std::string, FusedChain> by_last;            ///< key: name of the chain's last node
  std::set<std::string> inner;                          ///< nodes that are not last in a chain: emitted with it
  std::vector<std::vector<std::string>> shared_ranges;  ///< values to calibrate; those of one list share a scale
};

/// Which nodes become int8, and the values whose ranges that needs. `skip`: nodes that stay float.
LoweringPlan plan_lowering(const graph::Graph& graph, const std::set<std::string>& skip);

/// The int8 model of a float one whose BatchNorms are folded. Weights: s_c = max|w_c| / 127 a channel, symmetric; bias: round(b / (s_x s_c)).
/// `ranges` by value; a chain that lacks one stays float. The result is verified: ds::Error(kInput) would be a fault of the lowering.
exec::Model lower_to_int8(const exec::Model& model, const LoweringPlan& plan, const std::map<std::string, QParams>& ranges);

/// What a slot of a node sees: the tensor, or its rows [begin, end).
at::Tensor slot_value(const exec::Model& model, const graph::Slot& slot);

/// s8 codes in -127..127 [O, ...] and float32 scales [O] of a float weight [O, ...], per output channel (axis 0), round half to even.
/// `bias` [O], or undefined: a channel's scale grows where its bias would not fit 30 bits of x_scale * scale.
struct QuantizedWeight {
  at::Tensor codes, scale;
};
QuantizedWeight quantize_weight(const at::Tensor& weight, const at::Tensor& bias, float x_scale);
/// s32 [O] of a float bias [O] with scale x_scale * scale[c].
at::Tensor quantize_bias(const at::Tensor& bias, float x_scale, const at::Tensor& scale);

}  // namespace ds::compress
