// Optimizers and schedules: one a file in optim/, card in base/catalog/optimizer and base/catalog/schedule.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/core/registry.h"

namespace ds::optim {

/// A parameter as the optimizer sees it.
struct Parameter {
  std::string name;
  at::Tensor value;     ///< leaf; its .grad() is read
  bool decay = true;    ///< weight decay applies (not to norms and biases)
};

class Optimizer {
 public:
  virtual ~Optimizer();
  /// One update with this learning rate. Gradients are read, not cleared; a parameter without one stays as it is.
  virtual void step(double lr) = 0;
  /// State tensors by "<parameter>/<name>", contiguous, to save and to restore: bit-equal resume.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Throws ds::Error(kInput) for a tensor that is missing or has another shape.
  virtual void load(const std::map<std::string, at::Tensor>& state) = 0;
};
using MakeOptimizer = std::unique_ptr<Optimizer>(std::vector<Parameter> parameters, const core::Options& options);
/// The chosen entry of kind "optimizer" for these parameters.
std::unique_ptr<Optimizer> make_optimizer(const core::Choice& choice, std::vector<Parameter> parameters);

/// Learning rate as a factor of the base rate: a pure function of step (0-based) and total steps.
using ScheduleFactor = double(const core::Options& options, std::int64_t step, std::int64_t total);
/// Learning rate of a step: the optimizer's `lr` times the schedule's factor.
double learning_rate(const core::Choice& optimizer, const core::Choice& schedule, std::int64_t step, std::int64_t total);

/// What every optimizer of ours is made of: parameters in two groups (with and without decay), each with the same state tensors.
/// Fused kernels walk the memory of weight, gradient and state side by side, so all of a parameter's tensors have its strides.
class FusedOptimizer : public Optimizer {
 public:
  void step(double lr) override;
  std::map<std::string, at::Tensor> state() const override;
  void load(const std::map<std::string, at::Tensor>& state) override;

 protected:
  /// `names` of the state tensors, shaped like the parameter and zero at first. With `count_steps`, also a float32 scalar "step".
  FusedOptimizer(std::vector<Parameter> parameters, std::vector<std::string> names, bool count_steps);

  /// Lists for one fused call: those parameters of a group that have a gradient.
  struct Group {
    std::vector<at::Tensor> values, gradients, steps;
    std::vector<std::vector<at::Tensor>> states;  ///< by name, then by parameter
  };
  virtual void update(Group& group, double lr, bool decay) = 0;

 private:
  struct Entry {
    Parameter parameter;
    std::vector<at::Tensor> states;
    at::Tensor step;
  };
  std::vector<Entry> entries_;
  std::vector<std::string> names_;
  bool count_steps_;
};

}  // namespace ds::optim
