#include "base/commands/fit_options.h"

namespace ds::commands {

void LoopOptions::fields(core::Fields& f) {
  f.add({.name = "epochs", .doc = "passes over the training split", .min = 0, .max = 1e6, .unit = "epochs", .alias = epochs_alias}, epochs);
  f.add({.name = "batch_size", .doc = "samples a step", .min = 1, .max = 1e6, .unit = "samples", .alias = "batch-size", .letter = 'b'}, batch_size);
  f.add({.name = "eval_batch_size", .doc = "samples a batch of validation and test", .min = 1, .max = 1e6, .unit = "samples", .hidden = true},
        eval_batch_size);
  f.add({.name = "workers", .doc = "threads that prepare batches; -1: as the work asks for", .min = -1, .max = 256, .unit = "threads",
         .alias = "workers", .hidden = true}, workers);
  f.add({.name = "clip_grad", .doc = "largest norm of all gradients together; 0: off", .min = 0, .alias = "clip-grad"}, clip_grad);
  f.add({.name = "keep", .doc = "weights that a run ends with: of the last epoch, or of the best on the validation split",
         .choices = {"last", "best"}, .alias = "keep"}, keep);
}

void RegularizeOptions::fields(core::Fields& f) {
  f.add({.name = "dropout", .doc = "share of features that are dropped; -1: as the model has it", .min = -1, .max = 1, .below_max = true,
         .alias = "dropout"}, dropout);
  f.add({.name = "label_smoothing", .doc = "share of the target spread over all classes", .min = 0, .max = 1, .below_max = true,
         .alias = "smoothing"}, label_smoothing);
  f.add({.name = "decay_norms", .doc = "weight decay also on norms and biases"}, decay_norms);
}

void PrecisionOptions::fields(core::Fields& f) {
  f.add({.name = "amp", .doc = "mixed precision; auto: off on a CPU", .choices = {"auto", "off", "bf16"}, .alias = "amp"}, amp);
  f.add({.name = "channels_last", .doc = "memory format of images; auto: on", .choices = {"auto", "on", "off"}, .alias = "channels-last"},
        channels_last);
}

void FitOptions::fields(core::Fields& f) {
  f.group("train", "the loop", loop);
  f.choice("optim", "optimizer", optim, "opt");
  f.choice("schedule", "learning rate over time", schedule, "sched");
  f.group("regularize", "against overfitting", regularize);
  f.group("precision", "number formats", precision);
}

}  // namespace ds::commands
