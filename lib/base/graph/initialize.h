// How the layers of a fresh net start, whatever the architecture: rewrites TensorSpec::init.
#pragma once
#include <string>

#include "base/graph/graph.h"

namespace ds::graph {

struct WeightInit {
  std::string kind = "default";  ///< default: as the architecture has it; else one of kWeightInits
  double gain = 0;               ///< factor of the deviation; of truncated-normal the deviation; 0: sqrt(2) of kaiming, 0.02 of truncated-normal, else 1
  std::string fan = "in";        ///< kaiming: the variance of values (in) or of gradients (out) stays
  bool zero_last_norm = false;   ///< the norm at the end of a residual branch begins as 0, so that the block is the identity
};

inline const std::vector<std::string> kWeightInits = {"default",        "kaiming-normal", "kaiming-uniform", "xavier-normal",
                                                      "xavier-uniform", "orthogonal",     "truncated-normal"};

/// Weights of linear and convolutional layers (transposed ones too) that no other op reads; norms, biases, embeddings and cells stay as they are.
/// Variances: gain^2 / fan (He et al. 2015, arXiv:1502.01852, eq. 10 and 14), gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12), gain^2 cut at two
/// deviations; orthogonal rows or columns of length gain (Saxe et al. 2014, arXiv:1312.6120). Zero norms: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
/// Throws ds::Error(kUsage, "initialize...") where there is no such layer or norm.
void initialize(Graph& graph, const WeightInit& init);

}  // namespace ds::graph
