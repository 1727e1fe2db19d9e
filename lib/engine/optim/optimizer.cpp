#include "engine/optim/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "base/core/error.h"

namespace ds::optim {

Optimizer::~Optimizer() = default;

std::unique_ptr<Optimizer> make_optimizer(const core::Choice& choice, std::vector<Parameter> parameters) {
  return core::body<MakeOptimizer>("optimizer", choice.name)(std::move(parameters), *choice.options);
}

double learning_rate(const core::Choice& optimizer, const core::Choice& schedule, std::int64_t step, std::int64_t total) {
  const core::Fields fields = core::walk(*optimizer.options);
  for (const core::Entry& entry : fields.entries())
    if (entry.path == "lr")
      return *std::get<double*>(entry.target) * core::body<ScheduleFactor>("schedule", schedule.name)(*schedule.options, step, total);
  throw Error(Exit::kFailure, "optim.name", fmt::format("optimizer '{}' has no option 'lr'", optimizer.name));
}

FusedOptimizer::FusedOptimizer(std::vector<Parameter> parameters, std::vector<std::string> names, bool count_steps)
    : names_(std::move(names)), count_steps_(count_steps) {
  for (Parameter& parameter : parameters) {
    Entry entry;
    entry.parameter = std::move(parameter);
    for (std::size_t i = 0; i < names_.size(); ++i) entry.states.push_back(at::zeros_like(entry.parameter.value));
    if (count_steps_) entry.step = at::zeros({}, at::kFloat);
    entries_.push_back(std::move(entry));
  }
}

void FusedOptimizer::step(double lr) {
  const at::NoGradGuard no_grad;
  for (const bool decay : {true, false}) {
    Group group;
    group.states.resize(names_.size());
    for (Entry& entry : entries_) {
      const at::Tensor& value = entry.parameter.value;
      at::Tensor gradient = value.grad();
      if (entry.parameter.decay != decay || !gradient.defined()) continue;
      if (gradient.strides() != value.strides()) gradient = at::empty_like(value).copy_(gradient);
      group.values.push_back(value);
      group.gradients.push_back(std::move(gradient));
      for (std::size_t i = 0; i < names_.size(); ++i) group.states[i].push_back(entry.states[i]);
      if (count_steps_) group.steps.push_back(entry.step.add_(1));
    }
    if (!group.values.empty()) update(group, lr, decay);
  }
}

std::map<std::string, at::Tensor> FusedOptimizer::state() const {
  std::map<std::string, at::Tensor> state;
  for (const Entry& entry : entries_) {
    for (std::size_t i = 0; i < names_.size(); ++i) state[entry.parameter.name + "/" + names_[i]] = entry.states[i].contiguous();
    if (count_steps_) state[entry.parameter.name + "/step"] = entry.step;
  }
  return state;
}

void FusedOptimizer::load(const std::map<std::string, at::Tensor>& state) {
  const at::NoGradGuard no_grad;
  const auto restore = [&](const std::string& name, at::Tensor& tensor) {
    const auto found = state.find(name);
    if (found == state.end()) throw Error(Exit::kInput, name, "the optimizer's state lacks it", "made with another optimizer?");
    if (found->second.sizes() != tensor.sizes())
      throw Error(Exit::kInput, name, fmt::format("optimizer state of {} elements, expected {}", found->second.numel(), tensor.numel()));
    tensor.copy_(found->second);
  };
  for (Entry& entry : entries_) {
    for (std::size_t i = 0; i < names_.size(); ++i) restore(entry.parameter.name + "/" + names_[i], entry.states[i]);
    if (count_steps_) restore(entry.parameter.name + "/step", entry.step);
  }
}

}  // namespace ds::optim
