// Options of ds-predict.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct PredictCommand : core::CommandOptions {
  std::string model, adapter, output = "-";
  std::vector<std::string> inputs;  ///< pictures, or files with a text or a row a line; one may be "-": stdin
  std::int64_t batch_size = 32, top = 5;
  bool raw = false, jsonl = false;
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
};

}  // namespace ds::commands
