#include "base/commands/eval_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-eval";
  spec.summary = "measure the accuracy of a model";
  spec.description =
      "Runs a checkpoint on a split of a data set and prints accuracy with Wilson's interval at 95 %, cross-entropy and the confusion "
      "matrix ([label][prediction]). An int8 model runs its int8 kernels. --min-metric makes it a gate: exit code 5 where the metric is lower.";
  spec.examples = {{"ds-eval model.h5", "the test split of the data that it was trained on"},
                   {"ds-eval model.h5 --split val --min-metric top1=0.97", "a gate for scripts"},
                   {"ds-train -c configs/digits.yaml -o model.h5 | ds-eval - --predictions wrong.csv", "in a pipe, with every prediction"}};
  spec.see_also = {"ds-train(1)", "ds-bench(1)", "ds-checkpoint(5)"};
  spec.command = "eval";
  ds::commands::EvalCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
