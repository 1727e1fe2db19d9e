// Distillation as a callback of the training loop. One loss a file, card in base/catalog/distillation.
#pragma once
#include <memory>

#include "engine/exec/executor.h"
#include "engine/train/trainer.h"

namespace ds::compress {

/// The callback that adds a teacher's term to the loss. The teacher runs without gradients on the batch that the student gets.
using MakeDistillation = std::shared_ptr<train::Callback>(exec::Model& teacher, const core::Options& options);

/// soft_weight * T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), summed over classes, mean over the batch, + (1 - soft_weight) * hard.
/// @param student, teacher  logits [N, classes]    @param hard  scalar, the labels' loss
/// @source Hinton et al. 2015, section 2; the factor T^2 keeps the gradients' scale
at::Tensor soft_target_loss(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& hard, double temperature, double soft_weight);

}  // namespace ds::compress
