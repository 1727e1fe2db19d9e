// Options of ds-distill.
#pragma once
#include "base/commands/fit_options.h"
#include "base/core/tool.h"

namespace ds::commands {

struct DistillCommand : core::CommandOptions {
  std::string input, teacher, output, data, resume = "no";
  core::Choice loss{"distillation", "logits"};
  std::vector<std::string> augment = {"auto"};
  FitOptions fit;
  DistillCommand();
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
};

}  // namespace ds::commands
