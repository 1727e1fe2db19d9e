// Runs a model: the only way. A plan is a flat list of bound kernels; values are freed after their last use.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/exec/checkpoint.h"
#include "engine/exec/kernel.h"
#include "engine/exec/model.h"

namespace ds::exec {

/// Reads or replaces a value and its gradient by name. A tapped value is never fused away. Several taps may name one value: their forwards
/// run in order, each on what the one before left, their backwards in reverse. The gradient is what comes from the value's users alone.
struct Tap {
  std::string value;
  std::function<at::Tensor(const at::Tensor&)> forward;   ///< returns what the graph goes on with; null: untouched
  std::function<at::Tensor(const at::Tensor&)> backward;  ///< the same for the gradient, where the value has one
};

struct PlanOptions {
  bool training = false;
  bool channels_last = true;
  bool fuse = true;
  std::vector<std::string> fetch = {};  ///< values to return after the graph's outputs
  Checkpointing checkpointing = {};     ///< of training plans, where gradients are on
};

class Plan;

class Executor {
 public:
  /// Keeps a reference to `model`, which must outlive it. Tensors may change in place; call `rebind` after replacing some or editing the graph.
  explicit Executor(Model& model);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Outputs of the graph in order, then the fetched values. Plans are cached by options and tapped names.
  /// Throws ds::Error(kInput) where the inputs do not fit the graph (number, float or integer, shape), kFailure where an op fails, naming its node.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs, const RunContext& context, const PlanOptions& options = {},
                              const std::vector<Tap>& taps = {});
  void rebind();
  Model& model() { return model_; }

  /// The first node whose output is not finite for these inputs, or "" (runs without gradients).
  std::string first_nonfinite(const std::vector<at::Tensor>& inputs, const RunContext& context);
  /// The steps of a plan as text, one a line ("bn1 + relu1: batch_norm2d+relu", behind it ", recomputed 1" in the first checkpointed segment): for
  /// --verbose and tests.
  std::vector<std::string> describe(const PlanOptions& options = {}, const std::vector<std::string>& tapped = {});

 private:
  Plan& plan(const PlanOptions& options, const std::vector<std::string>& tapped);
  Model& model_;
  std::vector<std::shared_ptr<Plan>> plans_;
};

}  // namespace ds::exec
