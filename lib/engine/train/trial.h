// A few steps of a run on a copy of its model, to find something out before it begins.
#pragma once
#include "engine/train/trainer.h"

namespace ds::train {

/// Runs `steps` steps, or as many as `on_step` (with the figures of a step that is done) returns true after. The run is that of these options, but
/// writes nothing, tells no tracker and looks for no anomalies; model, data and checkpoint stay as they are. Errors of the trainer pass.
void try_steps(const exec::Model& model, const data::Dataset& data, commands::FitOptions fit, TrainerOptions options, const io::Checkpoint& checkpoint,
               std::int64_t steps, const std::function<bool(const StepFigures&)>& on_step);

}  // namespace ds::train
