#include "base/commands/eval_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-eval";
  spec.summary = "measure the accuracy of a model";
  spec.description =
      "Runs a checkpoint on a split of a data set and prints figures with intervals at 95 %: of classes accuracy, top-5, precision, recall and F1 "
      "(means over the classes), area under the ROC curve, calibration error, Matthews' correlation, cross-entropy and the confusion matrix "
      "([label][prediction]); of numbers rmse, mae and r2 in the data's own units; of vectors the share whose nearest is right, or the rank "
      "correlation with the scores; of all latency, throughput, memory and bytes. An int8 model runs its int8 kernels. --min-metric and "
      "--max-metric make it a gate: exit code 5 where the metric is lower or higher.";
  spec.examples = {{"ds-eval model.h5", "the test split of the data that it was trained on"},
                   {"ds-eval model.h5 --split val --min-metric top1=0.97", "a gate for scripts"},
                   {"ds-eval model.h5 --format table --min-metric f1_macro=0.9 --max-metric ece=0.05", "all figures at a glance, gated"},
                   {"ds-train -c configs/digits.yaml -o model.h5 | ds-eval - --predictions wrong.csv", "in a pipe, with every prediction"}};
  spec.see_also = {"ds-train(1)", "ds-bench(1)", "ds-checkpoint(5)"};
  spec.command = "eval";
  spec.formats = {"table", "csv"};
  ds::commands::EvalCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
