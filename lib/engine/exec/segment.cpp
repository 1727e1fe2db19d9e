// A checkpointed range of a plan: runs without keeping, and again in backward.
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <utility>

#include "engine/exec/plan.h"

namespace ds::exec {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

}  // namespace

/// What backward needs to run a range again. The plan lives as long as it.
struct Plan::Again : torch::CustomClassHolder {
  std::shared_ptr<const Plan> plan;
  const Range* range = nullptr;
  RunContext context;
  variable_list fixed;               ///< uses of what has no gradient, at their places; undefined where it has one, or for absent slots
  std::vector<std::size_t> place;    ///< of each use that has one
  variable_list outputs;             ///< of the forward pass, moved out at once
  std::vector<bool> differentiable;  ///< which of them have gradients
};

/// One node of autograd for a range: arguments are the uses of values and weights from outside, results what lives on.
struct Plan::Recompute : torch::autograd::Function<Plan::Recompute> {
  static variable_list forward(AutogradContext* context, const c10::intrusive_ptr<Again>& again, at::TensorList uses) {
    context->save_for_backward(uses.vec());
    context->saved_data["again"] = c10::IValue::make_capsule(again);
    context->set_materialize_grads(false);
    variable_list outputs = std::move(again->outputs), constant;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (!again->differentiable[i]) constant.push_back(outputs[i]);
    context->mark_non_differentiable(constant);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto again = c10::static_intrusive_pointer_cast<Again>(context->saved_data["again"].toCapsule());
    const at::AutoGradMode on(true);
    variable_list leaves = again->fixed, wanted;
    for (const at::Tensor& use : context->get_saved_variables()) {
      const std::size_t i = again->place[wanted.size()];
      wanted.push_back(leaves[i] = use.detach().requires_grad_(true));
    }
    variable_list outputs, of;
    {
      const variable_list made = again->plan->recompute(*again->range, again->context, leaves);
      for (std::size_t i = 0; i < made.size(); ++i)
        if (gradients[i].defined() && made[i].requires_grad()) outputs.push_back(made[i]), of.push_back(gradients[i]);
    }
    variable_list results(wanted.size() + 1);  // the first argument is no tensor
    if (outputs.empty()) return results;
    const variable_list found = torch::autograd::grad(outputs, wanted, of, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
    std::copy(found.begin(), found.end(), results.begin() + 1);
    return results;
  }
};

/// Values and weights that come from outside, in the order in which plain backward adds their gradients up: the last step first.
void Plan::prepare(Range& range) const {
  std::vector<bool> inside(index_.size(), false);
  for (int s = range.begin; s < range.end; ++s)
    for (const int value : steps_[std::size_t(s)].out) inside[std::size_t(value)] = true;
  range.value_use.resize(std::size_t(range.end - range.begin));
  range.slot_use.resize(range.value_use.size());
  for (int s = range.end - 1; s >= range.begin; --s) {
    const Step& step = steps_[std::size_t(s)];
    auto& of_values = range.value_use[std::size_t(s - range.begin)];
    auto& of_slots = range.slot_use[std::size_t(s - range.begin)];
    for (const int value : step.in) of_values.push_back(inside[std::size_t(value)] ? -1 : range.uses++);
    for (std::size_t k = 0; k < step.slots.size(); ++k) of_slots.push_back(range.uses++);
  }
  std::vector<int> last(index_.size(), -1);
  for (int s = 0; s < int(steps_.size()); ++s)
    for (const int value : steps_[std::size_t(s)].in) last[std::size_t(value)] = s;
  for (const int value : results_) last[std::size_t(value)] = int(steps_.size());
  for (int s = range.begin; s < range.end; ++s)
    for (const int value : steps_[std::size_t(s)].out)
      if (last[std::size_t(value)] >= range.end) range.results.push_back(value);
}

/// What a slot of a step is cut from.
const at::Tensor& Plan::whole_slot(const Step& step, std::size_t k) {
  const at::Tensor* slot = step.slots[k];
  const std::ptrdiff_t cut = step.slices.empty() ? -1 : slot - step.cut.get();
  return cut >= 0 && cut < std::ptrdiff_t(step.slices.size()) ? *step.slices[std::size_t(cut)].whole : *slot;
}

void Plan::run_range(const Range& range, const RunContext& context, std::vector<at::Tensor>& values) {
  auto again = c10::make_intrusive<Again>();
  variable_list& uses = again->fixed;
  uses.resize(std::size_t(range.uses));
  for (int s = range.begin; s < range.end; ++s) {
    const Step& step = steps_[std::size_t(s)];
    const std::size_t i = std::size_t(s - range.begin);
    for (std::size_t k = 0; k < step.in.size(); ++k)
      if (const int use = range.value_use[i][k]; use >= 0) uses[std::size_t(use)] = values[std::size_t(step.in[k])];
    for (std::size_t k = 0; k < step.slots.size(); ++k)
      if (const at::Tensor& slot = whole_slot(step, k); slot.requires_grad()) uses[std::size_t(range.slot_use[i][k])] = slot;
  }
  variable_list moving;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (!uses[i].defined() || !uses[i].requires_grad()) continue;
    again->place.push_back(i);
    moving.push_back(std::exchange(uses[i], at::Tensor()));
  }
  const bool gradients = !moving.empty();

  // With gradients on, step by step, so that each op takes the way that it takes again in backward; a step's graph goes with its outputs' links.
  for (int s = range.begin; s < range.end; ++s) {
    Step& step = steps_[std::size_t(s)];
    run_step(step, context, values);
    for (const int value : step.out) {
      at::Tensor& v = values[std::size_t(value)];
      const bool needs = v.requires_grad();
      if (gradients) v = v.detach().requires_grad_(needs);
    }
    for (const int value : step.last_use) values[std::size_t(value)].reset();
  }
  if (!gradients) return;
  again->plan = shared_from_this();
  again->range = &range;
  again->context = context;
  again->context.update_statistics = false;  // they moved in the first pass
  for (const int value : range.results) {
    at::Tensor& v = values[std::size_t(value)];
    again->differentiable.push_back(v.requires_grad());
    again->outputs.push_back(v.detach());
    v.reset();
  }
  const variable_list outputs = Recompute::apply(again, at::TensorList(moving));
  for (std::size_t i = 0; i < outputs.size(); ++i) values[std::size_t(range.results[i])] = outputs[i];
}

/// Runs a range on leaves of its own, with gradients. @return the values of range.results
std::vector<at::Tensor> Plan::recompute(const Range& range, const RunContext& context, const std::vector<at::Tensor>& leaves) const {
  std::vector<at::Tensor> values(index_.size());
  for (int s = range.begin; s < range.end; ++s) {
    const Step& step = steps_[std::size_t(s)];
    const std::size_t i = std::size_t(s - range.begin), inputs = step.in.size();
    std::vector<at::Tensor> local(inputs + step.out.size()), cut(step.slots.size());
    std::vector<at::Tensor*> slots = step.slots;
    std::vector<int> place(local.size());
    std::iota(place.begin(), place.end(), 0);
    for (std::size_t k = 0; k < inputs; ++k) {
      const int use = range.value_use[i][k];
      local[k] = use >= 0 ? leaves[std::size_t(use)] : values[std::size_t(step.in[k])];
    }
    for (std::size_t k = 0; k < slots.size(); ++k) {
      const at::Tensor& leaf = leaves[std::size_t(range.slot_use[i][k])];
      if (!leaf.defined()) continue;  // absent, or without a gradient: as it is in the step
      const std::ptrdiff_t slice = step.slices.empty() ? -1 : step.slots[k] - step.cut.get();
      const bool sliced = slice >= 0 && slice < std::ptrdiff_t(step.slices.size());
      const Step::Slice* of = sliced ? &step.slices[std::size_t(slice)] : nullptr;
      cut[k] = of ? leaf.narrow(of->axis, of->begin, of->length) : leaf;
      slots[k] = &cut[k];
    }
    RunContext quiet;
    StepArgs args(context_of(step, context, quiet), local.data(), place.data(), int(inputs), slots.data(), place.data() + inputs);
    call(step, args);
    for (std::size_t k = 0; k < step.out.size(); ++k) values[std::size_t(step.out[k])] = std::move(local[inputs + k]);
    for (const int value : step.last_use) values[std::size_t(value)].reset();
  }
  std::vector<at::Tensor> results;
  for (const int value : range.results) results.push_back(values[std::size_t(value)]);
  return results;
}

}  // namespace ds::exec
