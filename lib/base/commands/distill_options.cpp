#include "base/commands/distill_options.h"

namespace ds::commands {

DistillCommand::DistillCommand() { fit.loop.epochs = 4; }

void DistillCommand::fields(core::Fields& f) {
  f.add({.name = "input", .doc = "student: the checkpoint to train, or - for stdin", .value_name = "STUDENT", .flag_only = true, .positional = true, .required = true, .path = true}, input);
  f.add({.name = "teacher", .doc = "checkpoint whose outputs the student learns, or -", .value_name = "MODEL", .flag_only = true, .required = true, .path = true}, teacher);
  f.add({.name = "output", .doc = "checkpoint to write, or -", .letter = 'o', .value_name = "FILE", .flag_only = true, .required = true, .path = true}, output);
  f.add({.name = "data", .doc = "data set; default: the student's own", .alias = "data", .value_name = "SPEC"}, data);
  f.choice("distill", "what the student learns from the teacher", loss, "loss");
  f.add({.name = "augment", .doc = "augmentation; auto: as the student was trained", .value_name = "NAME"}, augment);
  f.add({.name = "resume", .doc = "go on from the state that an interrupted run left", .choices = {"no", "auto"}, .alias = "resume", .flag_only = true}, resume);
  f.include(fit);
  common.fields(f);
}

}  // namespace ds::commands
