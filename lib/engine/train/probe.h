// One batch through a net before it is trained: what its values and gradients look like, what a step costs, and what speaks against it.
#pragma once
#include "base/commands/fit_options.h"
#include "base/report/table.h"
#include "engine/data/dataset.h"
#include "engine/exec/estimate.h"

namespace ds::train {

/// Scale of a value or of its gradient over all its elements.
struct Scale {
  double mean = 0, std = 0, absmax = 0;
  bool finite = true;
};

struct LayerProbe {
  std::string name, op;
  Scale activation, gradient;      ///< gradient: of the loss by the layer's output
  bool has_gradient = false;
  double zeros = 0;                ///< share of elements that are exactly 0
  double dead = 0;                 ///< behind a ReLU: share of channels that are 0 for the whole batch
  double saturated = 0;            ///< behind a sigmoid or tanh: share of elements within 1 % of an end
  double weight_gradient = -1;     ///< norm of the gradient of its parameters; -1: it has none
  double forward_s = 0, backward_s = 0;  ///< run by itself, not fused with its neighbours
  std::int64_t kept_bytes = 0;     ///< memory that the forward pass leaves behind for backward
};

struct ProbeWarning {
  std::string layer, kind, text;   ///< kind: "not-finite", "vanishing", "exploding", "dead", "saturated", "drift", "memory"
  std::vector<std::string> remedies;  ///< "schedule.warmup_steps=500"
};

struct Probe {
  std::int64_t samples = 0;
  double loss = 0, gradient_norm = 0;
  double forward_s = 0, backward_s = 0;  ///< of a whole step as it is trained
  std::int64_t measured_peak = 0;        ///< bytes as estimate.peak counts them
  exec::MemoryEstimate estimate;
  std::vector<LayerProbe> layers;        ///< in the order in which they run
  std::vector<ProbeWarning> warnings;
  nlohmann::json to_json(bool reproducible) const;
  report::Table table() const;
};

/// Runs the first batch of training. Weights, statistics and gradients of `model` stay as they are. `preprocessing`: of the model.
/// Throws what opening the data and a run throw; no value is too bad to be told.
Probe probe(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed,
                           const nlohmann::json& preprocessing);

/// Warnings for these figures; `memory_limit` in bytes, 0: none.
std::vector<ProbeWarning> judge(const Probe& probe, std::int64_t memory_limit);

/// The step that a run takes, for estimates: the first samples of the training split, its loss, precision and optimizer state.
/// `model` must outlive it, its parameters require gradients.
exec::StepProbe step_probe(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed,
                           const nlohmann::json& preprocessing);
/// What precision.checkpointing says; `auto` chooses under precision.activation_budget. Throws ds::Error(kUsage) where the budget is below the least.
exec::Checkpointing checkpointing_of(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed,
                                     const nlohmann::json& preprocessing);

}  // namespace ds::train
