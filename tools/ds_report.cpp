#include "base/commands/report.h"

int main(int argc, char** argv) {
  ds::commands::ReportCommand options;
  return ds::core::run_tool(
      {.name = "ds-report",
       .summary = "one HTML page that shows models and how they came to be",
       .description = "Reads checkpoints and records; computes nothing anew and fetches nothing. The page is one file without scripts: a table of all models, "
                      "accuracy against latency and size, curves, confusion matrices, mistakes, layers, provenance, and the commands to redo it. Models "
                      "with the same digest are shown once. Parents come before children, and ratios are to the first.",
       .examples = {{"ds-report base.h5 pruned.h5 int8.h5 -o report.html", "a page of three models"},
                    {"ds-report *.h5 bench.json -o report.html", "with the latencies and the test accuracy of ds-bench -o bench.json"},
                    {"ds-bench a.h5 b.h5 --format json | ds-report a.h5 b.h5 - -o report.html", "the same without a file between"},
                    {"ds-report *.h5 --format table", "just the table"},
                    {"ds-report --dashboard ds.json", "a dashboard for Grafana of the metrics of ds-train"},
                    {"ds-report --replay-mlflow run/mlflow.jsonl", "what a tracking server missed"}},
       .see_also = {"ds-bench(1)", "ds-eval(1)", "ds-convert(1)", "ds-checkpoint(5)", "ds-watch(5)"},
       .command = "replay-mlflow",
       .formats = {"table", "csv", "md"}},
      options, argc, argv);
}
