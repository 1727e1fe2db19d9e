// Residual blocks, found by the graph alone: sums of a value and what was computed from it.
#pragma once
#include <string>
#include <vector>

#include "base/graph/graph.h"

namespace ds::graph {

/// A node `add` that joins a branch with what it branched off from, as it is or through a projection (convolutions, norms and pooling alone).
struct Residual {
  std::string add;         ///< name of the node
  std::size_t branch = 0;  ///< which of its inputs is the branch: the longer way
  std::string block;       ///< sums of the same block (attention and feed-forward of a transformer's) have the same; else the node's name
};
std::vector<Residual> residuals(const Graph& graph);

/// Stochastic depth: each branch's `drop_path` gets its share of `p`, growing evenly from 0 in the first block to p in the last (Huang et al. 2016,
/// eq. 4, as timm counts); where it has none one is put at its end, "<add>.drop_path". Throws ds::Error(kUsage) without residual blocks.
void set_drop_path(Graph& graph, double p);

/// A `dropout2d` of probability p, "<value>.spatial_dropout", in front of convolutions wider than a pixel that read no input of the graph; those
/// that are there get p. Depthwise ones are left alone. Throws ds::Error(kUsage) where there is no such convolution.
void set_spatial_dropout(Graph& graph, double p);

}  // namespace ds::graph
