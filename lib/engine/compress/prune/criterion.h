// Criteria: how important each channel class is. One a file, card in base/catalog/criterion.
#pragma once
#include <cstdint>
#include <vector>

#include "base/graph/channels.h"
#include "engine/exec/model.h"

namespace ds::compress {

struct ScoreContext {
  const exec::Model& model;
  const graph::ChannelClasses& classes;
  std::uint64_t seed = 0;
};

/// One score a class, in the order of `classes`; the lowest goes first. Comparable between classes of one group, and between groups too
/// where the criterion says so.
using ScoreClasses = std::vector<double>(const ScoreContext& context, const core::Options& options);

/// A tensor as numbers: int8 weights times their scales (as the node that owns them states), others as they are. float64.
/// Undefined for tensors that carry no weight: scales, statistics, int32 biases.
at::Tensor weight_values(const exec::Model& model, const std::string& tensor);

}  // namespace ds::compress
