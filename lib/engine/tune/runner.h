// Runs the trials of a study, one or several at once, until there are as many as wanted.
#pragma once
#include <string>
#include <vector>

#include "base/commands/tune_study.h"

namespace ds::tune {

struct RunnerOptions {
  std::vector<std::string> command;  ///< {config}, {trial_dir} and {seed} in its words are replaced
  std::int64_t trials = 50;          ///< of the study in all
  std::int64_t parallel = 1;
  bool reproducible = false;         ///< no times in what is written
};

/// What has become of the study when `run` returns.
struct RunnerReport {
  std::int64_t ran = 0;    ///< trials that ended here
  bool exhausted = false;  ///< every configuration of the space has been tried
};

/// Waiting trials first, then new ones. An ending is judged as follows:
///   exit 0 with a finite metric  a result
///   exit 0 with NaN, exit 1 and others  a failed trial: the configuration is bad, and the sampler is told
///   any but 0 once told to stop  none: the trial waits for the next run
///   a signal, exit 75            the trial is run again, at most TuneStudy::kRequeues times
///   exit 2, 3, 4, no such metric, no such program   the study stops: Error with that code and the trial's message
/// Throws ds::Error(kStopped) after SIGINT or SIGTERM, which the trials get too (as SIGTERM) and are waited for.
RunnerReport run_trials(const commands::TuneStudy& study, const RunnerOptions& options);

}  // namespace ds::tune
