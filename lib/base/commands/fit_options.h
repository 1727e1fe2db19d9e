// Options of the training loop, shared by every tool that trains: ds-train, ds-prune (fine-tuning), ds-distill.
#pragma once
#include "base/core/fields.h"

namespace ds::commands {

struct LoopOptions : core::Options {
  std::int64_t epochs = 12, batch_size = 64, eval_batch_size = 250, workers = -1;
  double clip_grad = 0;                 ///< largest norm of all gradients; 0 = off
  /// "last" or "best": which weights a run ends with. The last, since with a rate that falls to nothing they are better on average, and
  /// the best of many epochs on a small validation split is best in part by luck.
  std::string keep = "last";
  std::string epochs_alias = "epochs";  ///< the flag of the tool: ds-prune says --finetune-epochs
  void fields(core::Fields& f) override;
};

struct RegularizeOptions : core::Options {
  double dropout = -1;  ///< -1: as the model has it
  double label_smoothing = 0.05;
  bool decay_norms = false;  ///< weight decay also on norms and biases
  void fields(core::Fields& f) override;
};

struct PrecisionOptions : core::Options {
  std::string amp = "auto", channels_last = "auto";
  void fields(core::Fields& f) override;
};

struct FitOptions : core::Options {
  LoopOptions loop;
  core::Choice optim{"optimizer", "adamw"};
  core::Choice schedule{"schedule", "one-cycle"};
  RegularizeOptions regularize;
  PrecisionOptions precision;
  void fields(core::Fields& f) override;  ///< groups train, optim, schedule, regularize, precision
};

}  // namespace ds::commands
