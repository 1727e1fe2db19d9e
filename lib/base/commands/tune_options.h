// Options of ds-tune.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct TuneCommand : core::CommandOptions {
  std::string action, study, space, output, result, reason;
  std::vector<std::string> command;
  std::int64_t trials = 50, parallel = 1, trial = 0;
  double value = 0;
  bool failed = false;
  core::Choice sampler{"sampler", "gp"};
  TuneCommand();
  void fields(core::Fields& f) override;
  void check() const override;
  /// What asks no sampler needs no LibTorch.
  std::string base_command() const override;
  void check_files() const override;
  /// The folder of the study: the second word, or -o.
  const std::string& folder() const { return study.empty() ? output : study; }
};

}  // namespace ds::commands
