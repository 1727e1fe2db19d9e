// What plugs into a run by name: kinds "regularizer" (card in base/catalog/regularizer, body in train/regularizers) and "tracker"
// (base/catalog/tracker, train/trackers). All cards of a kind are in its group of options; each body looks at its own whether it is wanted.
#pragma once
#include <memory>

#include "engine/train/trainer.h"

namespace ds::train {

/// The run that is about to begin. Nothing is lowered yet and no parameter is collected: the graph may be edited.
struct Setting {
  exec::Model& model;
  const data::Dataset& data;
  const commands::FitOptions& fit;
  const TrainerOptions& options;
};

/// null where the options say off, or where editing the graph was all there is to do. Throws ds::Error(kUsage) for what does not fit the run.
using MakeRegularizer = std::shared_ptr<Callback>(const core::Options& options, const Setting& setting);
using MakeTracker = std::shared_ptr<Callback>(const core::Options& options, const Setting& setting);

}  // namespace ds::train
