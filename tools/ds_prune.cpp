#include "base/commands/prune_options.h"

int main(int argc, char** argv) {
  ds::commands::PruneCommand options;
  return ds::core::run_tool(
      {.name = "ds-prune",
       .summary = "remove whole channels or attention heads from a model, and fine-tune what is left",
       .description = "Finds what must go together (producers, norms, residual sums, consumers, tied tensors), ranks it by a criterion and slices the "
                      "model: the result is a smaller net, not a masked one. Takes float and int8 checkpoints alike.",
       .examples = {{"ds-prune base.h5 --ratio 0.5 --finetune-epochs 4 -o pruned.h5", "half of each layer's channels, then four epochs"},
                    {"ds-prune base.h5 --target macs --ratio 0.3 --scope global -o pruned.h5", "30 % of the multiply-accumulates, where they matter least"}},
       .see_also = {"ds-distill(1)", "ds-quantize(1)", "ds-checkpoint(5)"},
       .command = "prune"},
      options, argc, argv);
}
