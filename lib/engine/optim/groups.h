// Which parameters of a model are trained, and each at which rate.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/exec/model.h"
#include "engine/optim/optimizer.h"

namespace ds::optim {

struct GroupOptions {
  bool decay_norms = false;             ///< weight decay also on norms, biases and free tensors
  double layer_decay = 1;               ///< rate of a layer by that of the layer above it
  std::vector<std::string> freeze = {}; ///< patterns of names with * and ?: not trained
};

/// Float parameters that are trained, in the order of the table. Those that are frozen no longer require gradients.
/// Throws ds::Error(kUsage, "train.freeze") for a pattern that no parameter's name matches, and where nothing is left to train.
std::vector<Parameter> parameters_of(exec::Model& model, const GroupOptions& options);

/// Depth of the layer of each float parameter: 0 is what comes before the first block, then each block is a layer in the order of the nodes (the
/// name up to its first number says which: "layer1.0", "blocks.3", "encoder.layer.7"), and what comes after the last one is one layer.
/// With it layer-wise decay is lr * layer_decay^(deepest - depth) (Clark et al. 2020, "ELECTRA"; Bao et al. 2022, "BEiT").
std::map<std::string, std::int64_t> layer_depths(const graph::Graph& graph);

}  // namespace ds::optim
