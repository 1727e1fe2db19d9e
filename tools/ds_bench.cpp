#include "base/commands/bench_options.h"

int main(int argc, char** argv) {
  ds::commands::BenchCommand options;
  return ds::core::run_tool(
      {.name = "ds-bench",
       .summary = "compare models: accuracy, size, latency, throughput, memory",
       .description = "Models run in turns, round by round, so that a busy machine hits all of them alike. Accuracy is a paired difference on the same test "
                      "samples; latency has percentiles, the speed-up an interval. Ratios are to the first model.",
       .examples = {{"ds-bench base.h5 pruned.h5 int8.h5 --data mnist5k --format table", "a table of three models"},
                    {"ds-bench base.h5 int8.h5 --batch 1,8,64 --bench-threads 1,2 -o bench.json", "a sweep, with the raw times"}},
       .see_also = {"ds-eval(1)", "ds-report(1)"},
       .command = "bench",
       .formats = {"table", "csv", "md"}},
      options, argc, argv);
}
