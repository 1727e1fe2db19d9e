// A run as one HTML page, from its metrics.jsonl: no script, nothing from elsewhere. It can be made while the run goes on.
#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace ds::report {

/// What metrics.jsonl tells, thinned: at most kMostPoints a curve, however long the run.
class RunHistory {
 public:
  static constexpr std::size_t kMostPoints = 480;
  struct Curve {
    std::vector<std::pair<double, double>> points;  ///< step, value; in the order of steps
    std::int64_t stride = 1, seen = 0;              ///< each stride-th point is kept
  };
  /// Reads the lines that came since the last call. A file that is shorter than it was is read anew. A line that is not whole is left for the
  /// next call, one that is no object is passed over. Throws ds::Error(kInput) where the file cannot be read.
  void read(const std::string& path);

  const std::map<std::string, Curve>& steps() const { return steps_; }  ///< by key
  const std::vector<nlohmann::json>& epochs() const { return epochs_; }
  const std::vector<nlohmann::json>& alarms() const { return alarms_; }  ///< the last 100

 private:
  void line(const nlohmann::json& line);
  std::map<std::string, Curve> steps_;
  std::vector<nlohmann::json> epochs_, alarms_;
  std::int64_t offset_ = 0;
};

struct RunFacts {
  std::string name, model, data;
  std::string state;                     ///< "running", "done" ...
  std::int64_t epoch = 0, epochs = 0;    ///< done, planned
  std::int64_t step = 0, steps = 0;      ///< likewise
  std::string config;                    ///< YAML
};

/// The page, well-formed as XML but for its DOCTYPE.
std::string run_page(const RunFacts& facts, const RunHistory& history);

}  // namespace ds::report
