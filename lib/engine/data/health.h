// What may be wrong with a data set that reads well.
#pragma once
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace ds::data {

/// [classes] samples of each class, or labelled tokens with Target::kToken; all 0 where there are no labels of classes.
std::vector<std::int64_t> class_counts(const Split& split, std::int64_t classes);
/// Weights of LoaderOptions by which each class is drawn as often as the others: 1 / samples of its class.
/// Throws ds::Error(kUsage) where samples have no class.
std::vector<double> balancing_weights(const Dataset& set);

struct Health {
  /// {"classes": {name: samples}, "imbalance": largest / smallest class, "empty_classes": [names], "duplicates": n, "conflicts": n with another
  /// label, "leaks": {"train_val": n, "train_test": n, "val_test": n}}; what does not apply is left out.
  Json report = Json::object();
  std::vector<std::string> warnings;  ///< a line each, with examples and remedies
};
/// Class counts of the training split; samples that occur twice within a split or in two, by a hash of their bytes, compared in full
/// where hashes are equal.
Health check_health(const Dataset& set);

}  // namespace ds::data
