// What the readers of data sets share.
#pragma once
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace ds::data {

/// Throws ds::Error(kInput, file, ...) for the first label below 0 or not below `classes`.
void check_labels(const at::Tensor& labels, std::int64_t classes, const std::string& file);
/// Moves the last tenth of train (at least one sample of two or more) to val. A function of the order in the files alone.
void hold_out(Dataset& set);
/// "0", "1" ...
std::vector<std::string> numbered(std::int64_t classes);
/// The names in a text file, a line each, or `names` where there is no such file. Throws ds::Error(kInput) where the count differs.
std::vector<std::string> read_names(const std::string& file, std::vector<std::string> names);
/// Fills in what a reader left out: sample ids (train, val, test in a row), kind, shape, scale (1/255), mean and std of train, fingerprint.
void finish(Dataset& set);

}  // namespace ds::data
