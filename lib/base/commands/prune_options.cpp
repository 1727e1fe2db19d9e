#include "base/commands/prune_options.h"

#include "base/io/checkpoint.h"

namespace ds::commands {

void PruneSettings::fields(core::Fields& f) {
  f.add({.name = "ratio", .doc = "share of the target to remove", .min = 0, .max = 1, .below_max = true, .alias = "ratio"}, ratio);
  f.add({.name = "scope", .doc = "rank within each layer, or all layers together", .choices = {"local", "global"}, .alias = "scope"}, scope);
  f.add({.name = "target",
         .doc = "what the ratio is of: channels, attention heads, or multiply-accumulates (channels are removed until they are saved)",
         .choices = {"channels", "heads", "macs"},
         .alias = "target"},
        target);
  f.choice("criterion", "how important a channel is", criterion, "criterion");
  f.add({.name = "min_channels", .doc = "a layer keeps at least so many", .min = 1, .alias = "min-channels"}, min_channels);
  f.add({.name = "round_to", .doc = "a layer keeps a multiple of this, if it had one (8 suits vector units)", .min = 1, .alias = "round-to"}, round_to);
  f.add({.name = "coupled",
         .doc = "also remove channels that a layer or group norm averages over: the rest then changes, so fine-tune",
         .alias = "coupled"},
        coupled);
}

PruneCommand::PruneCommand() {
  fit.loop.epochs = 0;
  fit.loop.epochs_alias = "finetune-epochs";
}

void PruneCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "checkpoint to prune, or - for stdin",
         .value_name = "MODEL",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        input);
  f.add({.name = "output", .doc = "checkpoint to write, or -", .letter = 'o', .value_name = "FILE", .flag_only = true, .required = true, .path = true}, output);
  f.add({.name = "data",
         .doc = "data set for statistics, fine-tuning and validation; default: the checkpoint's own",
         .alias = "data",
         .value_name = "SPEC"},
        data);
  f.group("prune", "what to remove", prune);
  f.add({.name = "statistics_batches",
         .doc = "training batches from which BatchNorm's statistics are estimated anew; 0 = leave them",
         .min = 0,
         .alias = "statistics-batches"},
        statistics_batches);
  f.add({.name = "augment", .doc = "augmentation in fine-tuning; auto: as the model was trained", .value_name = "NAME"}, augment);
  f.add(
      {.name = "resume", .doc = "go on from the state that an interrupted run left", .choices = {"no", "auto"}, .alias = "resume", .flag_only = true},
      resume);
  f.include(fit);
  common.fields(f);
}

void PruneCommand::check_files() const {
  io::check_output(output, {input}, common.force);
  io::check_input(input);
  if (resume == "auto" && output != "-") io::check_state(output + ".partial");
}

}  // namespace ds::commands
