// BatchNorm's running statistics of weights that were not trained with them: averages, pruned nets.
#pragma once
#include <nlohmann/json.hpp>

#include "engine/data/dataset.h"
#include "engine/exec/model.h"

namespace ds::train {

using Json = nlohmann::json;

/// BatchNorm's running statistics anew, from `batches` batches of the training split without augmentation; what they were before leaves no
/// trace. mean = E[m], variance = E[v] + E[m^2] - E[m]^2 over the batches' means m and unbiased variances v. Nothing to do without BatchNorm.
/// Where `stoppable`, throws ds::Error(kInterrupted) as soon as a stop is requested.
/// @source Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, section 3
void reestimate_statistics(exec::Model& model, const data::Dataset& data, const Json& preprocessing, std::int64_t batches, std::int64_t batch_size,
                           std::uint64_t seed, bool stoppable = false);

}  // namespace ds::train
