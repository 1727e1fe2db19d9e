// The numbers that a regression tells: a net is trained on them standardised, people see them as the data have them.
#pragma once
#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::data {

/// preprocessing.targets: {"names": [...], "mean": [...], "std": [...]}.
struct Targets {
  std::vector<std::string> names;
  std::vector<double> mean, std;
  /// Empty where the document has none. Throws ds::Error(kInput, where, ...) for lists of unlike length and deviations that are not above 0.
  explicit Targets(const nlohmann::json& preprocessing, const std::string& where = "preprocessing");
  bool empty() const { return names.empty(); }
  /// [n, values] of the data as float32 of mean 0 and deviation 1 over the training split. Throws ds::Error(kInput) for another number of values.
  at::Tensor standardised(const at::Tensor& values) const;
  /// The way back, float64.
  at::Tensor restored(const at::Tensor& outputs) const;
};

/// The document for these values [n, values]; a column of one value gets 1 for its deviation.
nlohmann::json measure_targets(const std::vector<std::string>& names, const at::Tensor& values);

}  // namespace ds::data
