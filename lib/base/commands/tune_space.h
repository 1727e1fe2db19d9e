// The search space of ds-tune: what a trial may change, what it may not, and how a configuration lies in the unit cube.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/core/error.h"

namespace ds::commands {

using Json = nlohmann::json;

/// One parameter: a dotted key of the trial's config. A `step` makes a grid, which an int always is.
struct TuneParameter {
  enum class Type { kFloat, kInt, kCategorical };
  std::string path;
  Type type = Type::kFloat;
  double low = 0, high = 1, step = 0;  ///< of numbers; step 0: any float
  bool log = false;
  std::vector<Json> values;            ///< of a categorical one

  bool categorical() const { return type == Type::kCategorical; }
  /// Number of values, 0 for a float without step.
  std::int64_t count() const;
  /// The value of that index, 0 .. count() - 1.
  Json at(std::int64_t index) const;
  /// What is wrong with a value, "" for none.
  std::string problem(const Json& value) const;
  /// Place of a value: [0, 1] for a number (a grid is padded by half a step at both ends, then a logarithm is taken), the index for a
  /// categorical value. Expects a value without problem.
  double encode(const Json& value) const;
  /// The value nearest to a place. A float has six significant digits: what is printed is what was tried.
  Json decode(double place) const;

 private:
  double warp(double x) const;
};

/// A configuration is a flat JSON map from each parameter's path to its value.
struct TuneSpace {
  std::string metric;        ///< key in the trial's metrics
  bool maximize = true;
  std::vector<TuneParameter> parameters;
  Json fixed = Json::object();   ///< nested; what every trial's config has beside the parameters: `base:`, then `fixed:` over it
  std::optional<Json> first;     ///< the configuration to begin with: `default:`, else that of `base:` where it has one of the space

  /// Number of configurations, 0 where there is no end of them (or more than 2^53).
  std::int64_t size() const;
  std::vector<double> encode(const Json& configuration) const;
  Json decode(const std::vector<double>& places) const;
  /// Nested, as a config file has it: the parameters alone, or over what is fixed.
  Json nested(const Json& configuration, bool with_fixed) const;
  /// Canonical: spaces with the same JSON mean the same.
  Json to_json() const;
  static TuneSpace from_json(const Json& json);
  /// Reads the YAML of a space. Throws all that is wrong together, each ds::Error(kUsage, "file:line:column"); kInput for a file that
  /// cannot be read.
  static TuneSpace read(const std::string& path);
};

}  // namespace ds::commands
