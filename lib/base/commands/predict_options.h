// Options of ds-predict.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct PredictCommand : core::CommandOptions {
  std::string model, output = "-";
  std::vector<std::string> inputs;  ///< pictures; one may be "-": stdin, a path a line
  std::int64_t batch_size = 32, top = 5;
  bool raw = false;
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
};

}  // namespace ds::commands
