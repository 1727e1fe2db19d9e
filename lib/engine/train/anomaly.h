// Watches a run's loss and gradients.
#pragma once
#include <memory>

#include "engine/train/trainer.h"

namespace ds::train {

/// An alarm where the loss of a step is above its running mean by `loss_rise`; Trainer::give_up where the norm of all gradients is above
/// `gradient_norm`, after the steps of the warm-up. null where neither is asked for.
std::shared_ptr<Callback> watch_anomalies(const commands::FitOptions& fit);

}  // namespace ds::train
