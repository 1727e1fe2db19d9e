#include "base/commands/quantize_options.h"

int main(int argc, char** argv) {
  ds::commands::QuantizeCommand options;
  return ds::core::run_tool(
      {.name = "ds-quantize",
       .summary = "make an int8 model of a float one",
       .description = "Folds BatchNorm, measures the ranges of activations on training samples, and lowers convolutions, linear layers, sums and pools to "
                      "int8 kernels: weights a channel, convolution with ReLU and residual sum in one step. Results are the same bytes on every processor.",
       .examples = {{"ds-quantize distilled.h5 --method static -o int8.h5", "static int8"},
                    {"ds-quantize base.h5 --max-drop 0.003 -o int8.h5", "fail (exit 5) rather than lose more than 0.3 points"}},
       .see_also = {"ds-distill(1)", "ds-bench(1)", "ds-checkpoint(5)"},
       .command = "quantize"},
      options, argc, argv);
}
