// ds-train on a net that is there already: weights that are fitted to the data, and adapters beside a base.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/commands/train_options.h"
#include "base/models/models.h"
#include "engine/commands/session.h"

namespace ds::commands {

/// Where a run with --pretrained begins.
struct Beginning {
  io::Checkpoint checkpoint;     ///< documents: preprocessing and tokenizer of the weights where the data can take them
  exec::Model model;
  const data::Dataset* data = nullptr;
  io::Checkpoint base;           ///< what the weights were, with a digest where it is a checkpoint
  bool new_head = false;         ///< the last layer was drawn anew
};

/// Loads what fits and tells what does not, in record["pretrained"] and one line. Throws ds::Error(kInput) where nothing does.
Beginning begin_pretrained(const TrainCommand& options, core::Record& record);

/// The sizes of a data set that a net must know, for models::build.
models::DataSizes sizes_of(const data::Dataset& data);

/// Puts adapters as options.adapter says into a model, drawn by the seed. record["adapter"]: kind, layers, number of parameters that are trained.
/// Throws ds::Error(kUsage) for a base that adapters cannot be kept beside: one that is no checkpoint, or in int8.
/// @return patterns of the parameters that are not trained
std::vector<std::string> add_adapters(exec::Model& model, const TrainCommand& options, const io::Checkpoint& base, bool new_head, core::Record& record);

/// Multiply-accumulates of a training step for one sample with these parameters, forward and backward.
std::int64_t training_macs(const exec::Model& model, const std::vector<optim::Parameter>& parameters);

}  // namespace ds::commands
