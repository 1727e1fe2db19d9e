#include "base/commands/fit_options.h"

#include <fmt/format.h>

#include "base/core/error.h"

namespace ds::commands {

void LoopOptions::fields(core::Fields& f) {
  f.add({.name = "epochs", .doc = "passes over the training split", .min = 0, .max = 1e6, .unit = "epochs", .alias = epochs_alias}, epochs);
  f.add({.name = "batch_size", .doc = "samples that are computed at once; auto: from 4 a GB of memory, halved or doubled as fits", .min = 1, .max = 1e6,
         .unit = "samples", .alias = "batch-size", .letter = 'b', .or_auto = true}, batch_size);
  f.add({.name = "grad_accum_steps", .doc = "batches whose gradients make one step, weighted by what they count", .min = 1, .max = 1e6,
         .alias = "grad-accum-steps"}, grad_accum_steps);
  f.add({.name = "eval_batch_size", .doc = "samples a batch of validation and test", .min = 1, .max = 1e6, .unit = "samples", .hidden = true},
        eval_batch_size);
  f.add({.name = "workers", .doc = "threads that prepare batches; -1: as the work asks for", .min = -1, .max = 256, .unit = "threads",
         .alias = "workers", .hidden = true}, workers);
  f.add({.name = "clip_grad", .doc = "largest norm of all gradients together (clip_mode may say otherwise); 0: off", .min = 0, .alias = "clip-grad"},
        clip_grad);
  f.add({.name = "clip_mode", .doc = "clip_grad bounds the norm of all gradients, each value, or each unit's norm as a share of its weights' (adaptive)",
         .choices = {"norm", "value", "adaptive"}, .alias = "clip-mode"}, clip_mode);
  f.add({.name = "layer_decay", .doc = "a layer learns at this share of the rate of the layer above it", .min = 0, .max = 1, .above_min = true,
         .alias = "layer-decay"}, layer_decay);
  f.add({.name = "freeze", .doc = "parameters that stay as they are, by name with * and ?", .alias = "freeze", .value_name = "PATTERN"}, freeze);
  f.add({.name = "keep", .doc = "weights that a run ends with: of the last epoch, or of the best on the validation split",
         .choices = {"last", "best"}, .alias = "keep"}, keep);
}

void RegularizeOptions::fields(core::Fields& f) {
  f.add({.name = "dropout", .doc = "share of features that are dropped; -1: as the model has it", .min = -1, .max = 1, .below_max = true,
         .alias = "dropout"}, dropout);
  f.add({.name = "label_smoothing", .doc = "share of the target spread over all classes", .min = 0, .max = 1, .below_max = true,
         .alias = "smoothing"}, label_smoothing);
  f.add({.name = "decay_norms", .doc = "weight decay also on norms and biases"}, decay_norms);
  f.include(more);
}

void RegularizeOptions::check() const { more.check(); }

void PrecisionOptions::fields(core::Fields& f) {
  f.add({.name = "amp", .doc = "mixed precision; auto: off on a CPU", .choices = {"auto", "off", "bf16", "fp16"}, .alias = "amp"}, amp);
  f.add({.name = "loss_scale", .doc = "factor of the loss with fp16, against gradients that vanish; 0: found while training", .min = 0}, loss_scale);
  f.add({.name = "tf32", .doc = "a GPU may round factors of float32 products to 10 bits of mantissa", .alias = "tf32"}, tf32);
  f.add({.name = "channels_last", .doc = "memory format of images; auto: on", .choices = {"auto", "on", "off"}, .alias = "channels-last"},
        channels_last);
  f.add({.name = "checkpointing", .doc = "activations that are computed again instead of kept: none, all, every:N blocks, auto (as activation_budget asks)",
         .alias = "grad-checkpointing", .value_name = "WHICH"}, checkpointing);
  f.add({.name = "activation_budget", .doc = "memory for activations with checkpointing: auto, such as 512MiB", .value_name = "SIZE"}, activation_budget);
  f.add({.name = "out_of_memory", .doc = "split: a step that does not fit is computed in more parts, with the same result; fail: stop",
         .choices = {"split", "fail"}}, out_of_memory);
}

void PrecisionOptions::check() const {
  if (loss_scale > 0 && amp != "fp16")
    throw Error(Exit::kUsage, "precision.loss_scale", fmt::format("is of use with fp16 alone, precision.amp is '{}'", amp),
                "leave it out or set precision.amp to fp16");
  const bool every = checkpointing.starts_with("every:");
  if (!every && checkpointing != "none" && checkpointing != "all" && checkpointing != "auto")
    throw Error(Exit::kUsage, "precision.checkpointing", fmt::format("'{}', expected none, all, every:N or auto", checkpointing));
  if (every && (checkpointing.size() < 7 || checkpointing.size() > 12 || checkpointing.find_first_not_of("0123456789", 6) != std::string::npos ||
                std::stoll(checkpointing.substr(6)) < 1))
    throw Error(Exit::kUsage, "precision.checkpointing", fmt::format("'{}', expected a positive number behind every:", checkpointing));
  if ((checkpointing == "auto") == activation_budget.empty())
    throw Error(Exit::kUsage, "precision.activation_budget",
                checkpointing == "auto" ? "is required with checkpointing: auto"
                                        : fmt::format("is of use with checkpointing: auto alone, which is '{}'", checkpointing));
}

void AnomalyOptions::fields(core::Fields& f) {
  f.add({.name = "gradient_norm", .doc = "a norm of all gradients above this stops the run with its state saved, exit 5; 10 is usual, 0: off", .min = 0,
         .alias = "max-gradient-norm"}, gradient_norm);
  f.add({.name = "gradient_norm_after", .doc = "steps at the start whose norm is not looked at; -1: those of the warm-up", .min = -1, .unit = "steps"},
        gradient_norm_after);
  f.add({.name = "loss_rise", .doc = "a loss above its running mean by this share is an alarm; 0: off", .min = 0}, loss_rise);
  f.add({.name = "loader_seconds", .doc = "a loader that gives no batch for so long is named; 0: off", .min = 0, .unit = "s"}, loader_seconds);
}

void FitOptions::fields(core::Fields& f) {
  f.group("train", "the loop", loop);
  f.choice("loss", "what is minimised; none given: what the data ask for", loss, loss_alias);
  f.choice("optim", "optimizer", optim, "opt");
  f.choice("schedule", "learning rate over time", schedule, "sched");
  f.group("regularize", "against overfitting", regularize);
  f.group("precision", "number formats and memory", precision);
  f.group("anomaly", "what stops a run or raises an alarm", anomaly);
  f.group("watch", "where figures of a run go", watch);
}

void FitOptions::check() const {
  for (const core::Choice* choice : {&loss, &optim, &schedule})
    if (choice->options) choice->options->check();
  regularize.check();
  precision.check();
  watch.check();
}

}  // namespace ds::commands
