#include "base/commands/distill_options.h"

int main(int argc, char** argv) {
  ds::commands::DistillCommand options;
  return ds::core::run_tool(
      {.name = "ds-distill",
       .summary = "train a small model on the outputs of a large one",
       .description = "The student learns from the labels and from the teacher's softened outputs: soft_weight * T^2 * KL + (1 - soft_weight) * "
                      "cross-entropy. An int8 student is trained with fake-quantization of its float masters and written as int8 again.",
       .examples = {{"ds-distill pruned.h5 --teacher base.h5 --temperature 2.0 --soft-weight 0.7 --epochs 4 -o distilled.h5",
                     "recover accuracy after pruning"}},
       .see_also = {"ds-prune(1)", "ds-quantize(1)", "ds-checkpoint(5)"},
       .command = "distill"},
      options, argc, argv);
}
