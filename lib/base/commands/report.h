// ds-report: one HTML page from checkpoints and records.
#pragma once
#include <string>
#include <vector>

#include "base/core/tool.h"

namespace ds::commands {

struct ReportCommand : core::CommandOptions {
  std::vector<std::string> inputs;
  std::string output, title;
  void fields(core::Fields& f) override;
  void check() const override;
};

}  // namespace ds::commands
