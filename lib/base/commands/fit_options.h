// Options of the training loop, shared by every tool that trains: ds-train, ds-prune (fine-tuning), ds-distill.
#pragma once
#include "base/core/card_group.h"

namespace ds::commands {

struct LoopOptions : core::Options {
  std::int64_t epochs = 12, batch_size = 64, eval_batch_size = 250, workers = -1;
  std::int64_t grad_accum_steps = 1;    ///< parts of batch_size samples whose gradients make one step
  double clip_grad = 0;                 ///< 0 = off
  std::string clip_mode = "norm";       ///< "norm": of all gradients together; "value": of each element; "adaptive": of each unit, by its weights' norm
  double layer_decay = 1;               ///< the rate of a layer is this times that of the layer above it
  std::vector<std::string> freeze;      ///< patterns of parameters that are not trained
  /// "last" or "best": which weights a run ends with. The last, since with a rate that falls to nothing they are better on average, and
  /// the best of many epochs on a small validation split is best in part by luck.
  std::string keep = "last";
  std::string epochs_alias = "epochs";  ///< the flag of the tool: ds-prune says --finetune-epochs
  void fields(core::Fields& f) override;
};

struct RegularizeOptions : core::Options {
  double dropout = -1;  ///< -1: as the model has it
  double label_smoothing = 0.05;
  bool decay_norms = false;              ///< weight decay also on norms and biases
  core::CardGroup more{"regularizer"};  ///< all others: lib/base/catalog/regularizer
  void fields(core::Fields& f) override;
  void check() const override;
};

struct PrecisionOptions : core::Options {
  std::string amp = "auto", channels_last = "auto";
  double loss_scale = 0;         ///< of fp16: a fixed factor; 0 = dynamic
  bool tf32 = false;             ///< float32 products of a GPU may be rounded to 10 bits of mantissa
  std::string checkpointing = "none";  ///< of activations: none, all, every:N, auto (under activation_budget)
  std::string activation_budget;       ///< bytes, as "512MiB"; "" = none
  std::string out_of_memory = "split";  ///< "split" a step in more parts, or "fail"
  void fields(core::Fields& f) override;
  void check() const override;
};

struct AnomalyOptions : core::Options {
  double gradient_norm = 0;            ///< a larger one stops the run with its state saved; 0 = off
  std::int64_t gradient_norm_after = -1;  ///< steps that may have any; -1: those of the warm-up
  double loss_rise = 0.5;              ///< above the running mean by this share: an alarm; 0 = off
  double loader_seconds = 30;          ///< without a batch: a warning; 0 = off
  void fields(core::Fields& f) override;
};

struct FitOptions : core::Options {
  LoopOptions loop;
  core::Choice loss{"loss", "", "name", true};  ///< "": what the data ask for
  core::Choice optim{"optimizer", "adamw"};
  core::Choice schedule{"schedule", "one-cycle"};
  RegularizeOptions regularize;
  PrecisionOptions precision;
  AnomalyOptions anomaly;
  std::string loss_alias = "loss";              ///< the flag that names the loss: ds-distill's own means another
  core::CardGroup watch{"tracker"};  ///< lib/base/catalog/tracker
  void fields(core::Fields& f) override;  ///< groups train, loss, optim, schedule, regularize, precision, anomaly, watch
  void check() const override;
};

}  // namespace ds::commands
