// Optimizers and schedules: one a file in optim/, card in base/catalog/optimizer and base/catalog/schedule.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "engine/optim/packed.h"

namespace ds::optim {

/// A parameter as the optimizer sees it. optim/groups.h collects those of a model.
struct Parameter {
  std::string name;
  at::Tensor value;      ///< leaf; its .grad() is read
  bool decay = true;     ///< weight decay applies (not to norms and biases)
  double lr_scale = 1;   ///< its rate is this times that of the step (layer-wise decay)
  bool hidden = true;    ///< a weight between hidden features, if it has two or more dims: not of an embedding or the output layer
};

class Optimizer {
 public:
  virtual ~Optimizer();
  /// One update with this learning rate. Gradients are read, not cleared; a parameter without one stays as it is.
  virtual void step(double lr) = 0;
  /// State tensors by "<parameter>/<name>", contiguous, to save and to restore: bit-equal resume.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Throws ds::Error(kInput) for a tensor that is missing or has another shape or type.
  virtual void load(const std::map<std::string, at::Tensor>& state) = 0;
};
using MakeOptimizer = std::unique_ptr<Optimizer>(std::vector<Parameter> parameters, const core::Options& options);
/// The chosen entry of kind "optimizer" for these parameters.
std::unique_ptr<Optimizer> make_optimizer(const core::Choice& choice, std::vector<Parameter> parameters);

/// Where a run is, and what it has seen: all that a rate may depend on.
struct ScheduleContext {
  std::int64_t step = 0;             ///< 0-based
  std::int64_t total = 1;            ///< steps of the run
  std::int64_t steps_per_epoch = 1;
  const nlohmann::json* history = nullptr;  ///< one object an epoch that is done: {"step": steps done by then, "val_loss": ...}; null = none
};
/// Learning rate as a factor of the base rate: a pure function. Where the schedule does not rise by itself, step and total count from the end
/// of the warm-up, and `warmup` is how many steps that took.
using ScheduleFactor = double(const core::Options& options, const ScheduleContext& at, std::int64_t warmup);
/// The schedule's factor with its warm-up: (step + 1) / warmup of what it begins with, then its own.
double schedule_factor(const core::Choice& schedule, const ScheduleContext& at);
/// Steps of the warm-up (of one-cycle: of the rise).
std::int64_t warmup_steps(const core::Choice& schedule, const ScheduleContext& at);
/// Learning rate of a step: the optimizer's `lr` times the schedule's factor.
double learning_rate(const core::Choice& optimizer, const core::Choice& schedule, const ScheduleContext& at);
/// Throws ds::Error(kUsage) for a warm-up that is as long as the run or longer.
void check_schedule(const core::Choice& schedule, const ScheduleContext& whole);
/// Puts a number where `lr` is auto, by the samples of a step: 0.05 sqrt(batch) for sgd with cosine; for adam, adamw and lamb the default times
/// sqrt(batch / 64) (Malladi et al. 2022, "On the SDEs and scaling rules for adaptive gradient algorithms"). Throws ds::Error(kUsage) for others.
void resolve_auto(core::Choice& optimizer, const core::Choice& schedule, std::int64_t batch);

/// What every optimizer of ours is made of: parameters in groups (by decay, lr_scale and hidden), each with state tensors.
/// Fused kernels walk the memory of weight, gradient and state side by side, so all of a parameter's tensors have its strides.
class FusedOptimizer : public Optimizer {
 public:
  void step(double lr) override;
  std::map<std::string, at::Tensor> state() const override;
  void load(const std::map<std::string, at::Tensor>& state) override;

  /// A state tensor of a parameter, shaped like it.
  struct StateSpec {
    std::string name;
    bool is_signed = true;  ///< false: never below zero
    double initial = 0;
  };
  struct Layout {
    std::vector<StateSpec> states;
    bool count_steps = false;  ///< also a float32 scalar "step"
    /// 32, or of tensors from kLeastPacked elements on 16 or 8: unpacked piece by piece for the update, which must then treat elements alike.
    int bits = 32;
  };
  static constexpr std::int64_t kLeastPacked = 4096;

 protected:
  using LayoutOf = std::function<Layout(const Parameter& parameter)>;
  FusedOptimizer(std::vector<Parameter> parameters, const LayoutOf& layout);
  FusedOptimizer(std::vector<Parameter> parameters, const Layout& layout);

  /// Lists for one fused call: parameters of a group that have a gradient.
  struct Group {
    bool decay = true, hidden = true;
    std::vector<at::Tensor> values, gradients, steps;
    std::vector<std::vector<at::Tensor>> states;  ///< by name, then by parameter
  };
  /// Called from several threads at once with pieces of a parameter where states are packed.
  virtual void update(Group& group, double lr) = 0;

 private:
  struct Entry {
    Parameter parameter;
    Layout layout;
    std::vector<at::Tensor> states;  ///< those of full precision
    std::vector<Packed> packed;      ///< or these
    at::Tensor step;
  };
  void step_packed(Entry& entry, const at::Tensor& gradient, double lr);
  std::vector<Entry> entries_;
  std::vector<std::vector<std::size_t>> groups_;  ///< indices into entries_
};

/// 32, 16 or 8 of an option `state_bits`.
int state_bits(const std::string& option);

}  // namespace ds::optim
