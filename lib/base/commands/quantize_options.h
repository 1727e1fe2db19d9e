// Options of ds-quantize.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct QuantizeCommand : core::CommandOptions {
  std::string input, output, data, method = "static";
  std::int64_t bits = 8, samples = 512, batch_size = 64;
  core::Choice observer{"observer", "histogram"};
  std::vector<std::string> skip;
  double max_drop = 1;
  bool keep_best = false;
  void fields(core::Fields& f) override;
  void check_files() const override;
};

}  // namespace ds::commands
