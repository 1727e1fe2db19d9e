// What the frozen front of a net says of each sample, computed once: training then runs what stands behind it alone.
#pragma once
#include <set>
#include <string>

#include "base/io/checkpoint.h"
#include "engine/data/dataset.h"
#include "engine/exec/model.h"

namespace ds::commands {

struct FrozenFeatures {
  exec::Model back;             ///< all behind the front; shares the whole model's tensors. Its input is the front's output
  data::Dataset data;           ///< the features of every split in place of images
  nlohmann::json preprocessing; ///< of the features: none
  std::string value;            ///< the value that is kept
  std::int64_t macs = 0;        ///< of the front, for one sample
};

/// `trained`: names of the parameters that are. Inputs are taken without augmentation. Keeps float32 of every sample in memory.
/// The front ends where one value alone leads from there to what is trained. Throws ds::Error(kUsage, "--cache-frozen") where there is none, or for
/// samples that are not images or rows.
FrozenFeatures frozen_features(exec::Model& model, const std::set<std::string>& trained, const data::Dataset& data, const nlohmann::json& preprocessing);

}  // namespace ds::commands
