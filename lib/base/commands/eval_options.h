// Options of ds-eval.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct EvalCommand : core::CommandOptions {
  std::string input, adapter, data, split = "test", predictions;
  std::vector<std::string> min_metric, max_metric;
  std::int64_t batch_size = 250;
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
};

/// "top1=0.97" as its parts. Throws ds::Error(kUsage), which names `flag`.
struct Gate {
  std::string metric;
  double bound = 0;
};
Gate parse_gate(const std::string& flag, const std::string& text);

}  // namespace ds::commands
