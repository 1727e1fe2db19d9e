// What ops of positions compute from their attributes alone: for their kernels and for other formats.
#pragma once
#include <cstdint>
#include <vector>

#include "base/graph/schema.h"

namespace ds::graph {

/// Radians a position by which a `rope` node turns pair i of a head: base^(-2 i / d) for i = 0 ... d/2 - 1 (Su et al. 2021, "RoFormer",
/// arXiv:2104.09864, section 3.2.2). With scaling "llama3", waves longer than original_positions / low_freq_factor are stretched by `factor`,
/// those shorter than original_positions / high_freq_factor stay, and those in between go over smoothly (as the Llama 3.1 models are run).
std::vector<double> rope_frequencies(const NodeView& view);

/// The row of a `relative_bias` node's table for a key at `distance` = key's position - query's: half of the rows, or of each direction's,
/// stand for one distance each, the others for ranges that grow with the logarithm up to max_distance (Raffel et al. 2020, "T5",
/// arXiv:1910.10683, section 2.1).
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance, bool bidirectional);

}  // namespace ds::graph
