// Structured pruning: choose channel classes, slice graph and tensors. Works on float and int8 models alike: int8 rows, scales and biases
// are cut, nothing is quantized again.
#pragma once
#include <set>

#include "base/commands/prune_options.h"
#include "engine/compress/prune/criterion.h"
#include "engine/data/dataset.h"
#include "engine/exec/executor.h"

namespace ds::compress {

using Json = nlohmann::json;

/// Classes that go, and why the others stay.
struct PrunePlan {
  std::set<int> removed;
  graph::Keep keep;
  Json report;  ///< "layers": [{"name","channels","kept"}], "frozen": [{"name","channels","reason"}], "notes"
};

/// Chooses classes by the settings. Throws ds::Error(kUsage) where nothing can be removed (no heads, all frozen), naming the reasons.
PrunePlan plan_pruning(const exec::Model& model, const commands::PruneSettings& settings, std::uint64_t seed);
/// The sliced model, with tensors of its own. Throws ds::Error(kFailure) where a layer would lose all of its channels.
exec::Model slice(const exec::Model& model, const graph::Keep& keep);
/// The masked model: every weight that slicing would remove is zero. Slicing equals masking where no norm averages over channels.
exec::Model mask(const exec::Model& model, const graph::Keep& keep);

}  // namespace ds::compress
