// Options of ds-bench.
#pragma once
#include "base/core/tool.h"

namespace ds::commands {

struct BenchCommand : core::CommandOptions {
  std::vector<std::string> inputs;
  std::string data, output;
  std::vector<std::int64_t> batch = {1, 32}, length, bench_threads;
  std::vector<std::string> engine = {"auto"};
  std::int64_t rounds = 30, warmup = 3;
  double min_time = 0.01;
  bool accuracy = true;
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
};

}  // namespace ds::commands
