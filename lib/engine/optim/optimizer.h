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
  /// One update with this learning rate. Gradients are read, not cleared.
  virtual void step(double lr) = 0;
  /// State tensors by "<parameter>/<name>", to save and to restore: bit-equal resume.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  virtual void load(const std::map<std::string, at::Tensor>& state) = 0;
};
using MakeOptimizer = std::unique_ptr<Optimizer>(std::vector<Parameter> parameters, const core::Options& options);

/// Learning rate as a factor of the base rate: a pure function of step (0-based) and total steps.
using ScheduleFactor = double(const core::Options& options, std::int64_t step, std::int64_t total);

}  // namespace ds::optim
