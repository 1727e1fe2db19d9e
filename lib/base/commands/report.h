// ds-report: one HTML page from checkpoints and records; the dashboard of metrics; what a tracking server missed.
#pragma once
#include <string>
#include <vector>

#include "base/core/tool.h"

namespace ds::commands {

struct ReportCommand : core::CommandOptions {
  std::vector<std::string> inputs;
  std::string output, title;
  std::string dashboard;             ///< file for Grafana's dashboard, or -
  std::string replay_mlflow, mlflow;  ///< spool of a run, and the server if it is another
  void fields(core::Fields& f) override;
  void check() const override;
  std::string base_command() const override { return !replay_mlflow.empty() ? "" : dashboard.empty() ? "report" : "dashboard"; }
};

}  // namespace ds::commands
