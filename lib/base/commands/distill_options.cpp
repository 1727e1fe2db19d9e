#include "base/commands/distill_options.h"

#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

DistillCommand::DistillCommand() {
  fit.loop.epochs = 4;
  fit.loss_alias = "";
  fit.regularize.dropout = 0;  // the teacher's soft targets regularise: scripts/bench/accuracy.py gains 0.2 points
}

void DistillCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "student: the checkpoint to train, or - for stdin",
         .value_name = "STUDENT",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        input);
  f.add({.name = "teacher",
         .doc = "checkpoint whose outputs the student learns, or -",
         .value_name = "MODEL",
         .flag_only = true,
         .required = true,
         .path = true},
        teacher);
  f.add({.name = "output", .doc = "checkpoint to write, or -", .letter = 'o', .value_name = "FILE", .flag_only = true, .required = true, .path = true}, output);
  f.add({.name = "data", .doc = "data set; default: the student's own", .alias = "data", .value_name = "SPEC"}, data);
  f.choice("distill", "what the student learns from the teacher", loss, "loss");
  f.add({.name = "augment", .doc = "augmentation; auto: as the student was trained", .value_name = "NAME"}, augment);
  f.add(
      {.name = "resume", .doc = "go on from the state that an interrupted run left", .choices = {"no", "auto"}, .alias = "resume", .flag_only = true},
      resume);
  f.include(fit);
  common.fields(f);
}

void DistillCommand::check() const {
  fit.check();
  if (input == "-" && teacher == "-") throw Error(Exit::kUsage, "--teacher", "two inputs are -, at most one can be stdin");
}

void DistillCommand::check_files() const {
  io::check_output(output, {input, teacher}, common.force);
  for (const std::string& model : {input, teacher}) io::check_input(model);
  if (resume == "auto" && output != "-") io::check_state(output + ".partial");
}

}  // namespace ds::commands
