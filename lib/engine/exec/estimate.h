// What a training step will take, before it is run: memory, and the segments that keep its activations under a budget.
#pragma once
#include <functional>

#include "engine/exec/executor.h"

namespace ds::exec {

/// A step to ask about.
struct StepProbe {
  std::vector<at::Tensor> inputs;  ///< of a few samples or of a whole batch, as a step gets them; at most kProbeRows are run
  std::int64_t batch = 1;          ///< samples of the step
  PlanOptions plan = {};           ///< training is set
  RunContext context = {};         ///< training is set
  /// The loss of the first `rows` samples: memory of its own counts. Null: the sum of all outputs.
  std::function<at::Tensor(const std::vector<at::Tensor>& outputs, std::int64_t rows)> loss = {};
  std::int64_t optimizer_bytes = 0;  ///< of its state
};
inline constexpr std::int64_t kProbeRows = 8;

/// Bytes as memory_use() counts them. The parts have their peaks at different times: they may add up to more than `peak`.
struct MemoryEstimate {
  std::int64_t weights = 0;      ///< all tensors of the model
  std::int64_t gradients = 0;    ///< of the parameters
  std::int64_t optimizer = 0;
  std::int64_t activations = 0;  ///< the most at any time, with gradients of values and workspace
  std::int64_t inputs = 0;       ///< of one batch
  std::int64_t peak = 0;         ///< of all together
};

/// Runs two steps of a few samples (StepProbe) with a record of each allocation and extends each block's size to the whole batch: what is kept, freed
/// and taken follows the same order at any batch size. A batch of no more than kProbeRows is run as it is. The model, its gradients and statistics
/// stay as they are. Needs install_allocator(). Throws what a run throws; ds::Error(kUsage) without samples.
MemoryEstimate estimate_training_memory(Model& model, const StepProbe& probe);

/// Segments with the least recomputation that keep activations (as estimated, above) under `budget` bytes; kNone where nothing needs to be recomputed.
/// A dynamic program over the steps of the plan: cost = multiply-accumulates and bytes of what is run again. Throws
/// ds::Error(kUsage, "precision.activation_budget") naming the least budget where none does.
Checkpointing choose_checkpointing(Model& model, const StepProbe& probe, std::int64_t budget);

}  // namespace ds::exec
