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

/// The int8 model. Weights: s_c = max|w_c| / 127 a channel, symmetric; bias: round(b / (s_x s_c)).
exec::Model lower_to_int8(const exec::Model& model, const LoweringPlan& plan, const std::map<std::string, QParams>& ranges);

/// What a slot of a node sees: the tensor, or its rows [begin, end).
at::Tensor slot_value(const exec::Model& model, const graph::Slot& slot);

/// s8 codes and scales [O] of a float weight, per output channel (axis 0), round half to even.
struct QuantizedWeight {
  at::Tensor codes, scale;
};
QuantizedWeight quantize_weight(const at::Tensor& weight, const at::Tensor& bias, float x_scale);
/// s32 of a float bias with scale x_scale * scale[c].
at::Tensor quantize_bias(const at::Tensor& bias, float x_scale, const at::Tensor& scale);

}  // namespace ds::compress
