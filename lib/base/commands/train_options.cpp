#include "base/commands/train_options.h"

#include "base/io/checkpoint.h"

namespace ds::commands {

void DataOptions::fields(core::Fields& f) {
  f.add({.name = "name", .doc = "data set: mnist5k, digits, idx:DIR, cifar10:DIR ... (--list dataset)", .alias = "data", .value_name = "SPEC"}, name);
  f.add({.name = "augment", .doc = "changes of training images: affine, crop, flip", .alias = "augment", .value_name = "NAME"}, augment);
}

void TrainCommand::fields(core::Fields& f) {
  f.choice("model", "what is trained", model, "model");
  f.group("data", "what it is trained on", data);
  f.include(fit);
  f.add({.name = "init", .doc = "begin with graph and weights of this checkpoint; the group model is not read then", .value_name = "MODEL",
         .path = true}, init);
  f.add({.name = "output", .doc = "checkpoint to write when the run is done, or -", .letter = 'o', .value_name = "FILE",
         .flag_only = true, .path = true}, output);
  f.add({.name = "run-dir", .doc = "folder of the run: args.yaml, metrics.csv, last.h5, best.h5", .value_name = "DIR",
         .flag_only = true, .path = true}, run_dir);
  f.add({.name = "resume", .doc = "auto: go on from the state in the run folder or <output>.partial, if there is one", .choices = {"no", "auto"},
         .flag_only = true}, resume);
  common.fields(f);
}

void TrainCommand::check_files() const {
  if (!output.empty()) io::check_output(output, {init}, common.force);
  io::check_input(init);
  if (resume != "auto") return;
  if (!run_dir.empty()) io::check_state(run_dir + "/last.h5");
  if (!output.empty() && output != "-") io::check_state(output + ".partial");
}

}  // namespace ds::commands
