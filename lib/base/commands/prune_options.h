// Options of ds-prune.
#pragma once
#include "base/commands/fit_options.h"
#include "base/core/tool.h"

namespace ds::commands {

/// What to remove; the library's part, without files.
struct PruneSettings : core::Options {
  double ratio = 0.5;
  std::string scope = "local", target = "channels";
  core::Choice criterion{"criterion", "group-l2"};
  std::int64_t min_channels = 1, round_to = 1;
  bool coupled = false;
  void fields(core::Fields& f) override;
};

struct PruneCommand : core::CommandOptions {
  std::string input, output, data, resume = "no";
  PruneSettings prune;
  std::int64_t statistics_batches = 64;
  std::vector<std::string> augment = {"auto"};
  FitOptions fit;
  PruneCommand();
  void fields(core::Fields& f) override;
  void check() const override { fit.check(); }
  void check_files() const override;
};

}  // namespace ds::commands
