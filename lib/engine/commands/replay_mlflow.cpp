#include "base/commands/report.h"
#include "base/core/registry.h"
#include "engine/telemetry/mlflow.h"

namespace ds::commands {
namespace {

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ReportCommand&>(base);
  if (options.common.dry_run) return;
  record["mlflow"] = telemetry::replay_mlflow(options.replay_mlflow, options.mlflow);
}

const core::Body<core::Command> body{"command", "replay-mlflow", run};

}  // namespace
}  // namespace ds::commands
