// train.batch_size: auto.
#pragma once
#include "engine/train/trainer.h"

namespace ds::train {

/// Samples of a batch that fit in memory: from 4 x devices x memory in GB, halved until two steps stay below nine tenths of the limit, or else
/// doubled as long as they do and an epoch has at least 20 steps. Measured on a copy of the model; the batch of a state that is resumed
/// is taken instead, where there is one. Notes it in checkpoint.config. Throws ds::Error(kResource) where one sample does not fit.
std::int64_t find_batch_size(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, const TrainerOptions& options,
                             io::Checkpoint& checkpoint);

/// Where the search begins: 4 x devices x GB, a power of two, within the samples that there are.
std::int64_t first_batch_size(std::int64_t memory_bytes, std::int64_t devices, std::int64_t samples);

}  // namespace ds::train
