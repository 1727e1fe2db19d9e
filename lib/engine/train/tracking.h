// What trackers (engine/train/trackers) share.
#pragma once
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/report/watched.h"
#include "engine/train/parts.h"

namespace ds::train {

/// What trackers call the run: watch.run_name, else the run folder's name, else the output's, else "run".
std::string run_name(const Setting& setting);
/// The architecture's name, "graph" where it has none.
std::string architecture(const Setting& setting);
/// Steps between two that trackers tell of.
std::int64_t log_interval(const Setting& setting);
/// A file of the run: in the run folder, or beside the output ("<output>.<name>"); "" where there is neither.
std::string beside_run(const Setting& setting, const std::string& name);

/// Figures of every log_interval-th step. Rates are over the time since the one before.
class Sampler {
 public:
  Sampler(std::int64_t interval, bool reproducible) : interval_(interval), reproducible_(reproducible) {}
  /// Asks the trainer for what is told.
  void start(Trainer& trainer) const;
  void on_batch(const Trainer& trainer, const data::Batch& batch);
  /// Whether the step that is done is told of. To be called in each step.
  bool on_step(const Trainer& trainer);
  /// Of that step: metrics of the table that have a key, and their values. Without what differs from run to run where `reproducible`.
  const std::vector<std::pair<const report::Watched*, double>>& values() const { return values_; }

 private:
  void collect(const Trainer& trainer);
  std::int64_t interval_;
  bool reproducible_, begun_ = false;
  std::int64_t samples_ = 0, tokens_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::vector<std::pair<const report::Watched*, double>> values_;
};

}  // namespace ds::train
