#include "engine/optim/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <tuple>

#include "base/core/error.h"

namespace ds::optim {

Optimizer::~Optimizer() = default;

std::unique_ptr<Optimizer> make_optimizer(const core::Choice& choice, std::vector<Parameter> parameters) {
  choice.options->check();
  return core::body<MakeOptimizer>("optimizer", choice.name)(std::move(parameters), *choice.options);
}

int state_bits(const std::string& option) { return option == "16" ? 16 : option == "8" ? 8 : 32; }

FusedOptimizer::FusedOptimizer(std::vector<Parameter> parameters, const Layout& layout)
    : FusedOptimizer(std::move(parameters), [&layout](const Parameter&) { return layout; }) {}

FusedOptimizer::FusedOptimizer(std::vector<Parameter> parameters, const LayoutOf& layout) {
  std::map<std::tuple<bool, bool, double>, std::size_t> known;
  for (Parameter& parameter : parameters) {
    Entry entry;
    entry.layout = layout(parameter);
    const at::Tensor& value = parameter.value;
    const bool packs = entry.layout.bits < 32 && value.numel() >= kLeastPacked && value.is_non_overlapping_and_dense();
    for (const StateSpec& spec : entry.layout.states) {
      if (packs)
        entry.packed.emplace_back(value, entry.layout.bits, spec.is_signed, parameter.name + "/" + spec.name);
      else
        entry.states.push_back(at::full_like(value, spec.initial, value.options().requires_grad(false)));
    }
    if (entry.layout.count_steps || packs) entry.step = at::zeros({}, at::kFloat);
    const auto [group, fresh] = known.emplace(std::tuple(!parameter.decay, !parameter.hidden, parameter.lr_scale), groups_.size());
    if (fresh) groups_.emplace_back();
    groups_[group->second].push_back(entries_.size());
    entry.parameter = std::move(parameter);
    entries_.push_back(std::move(entry));
  }
}

void FusedOptimizer::step(double lr) {
  const at::NoGradGuard no_grad;
  for (const std::vector<std::size_t>& members : groups_) {
    const Parameter& any = entries_[members[0]].parameter;
    Group group;
    group.decay = any.decay;
    group.hidden = any.hidden;
    for (const std::size_t index : members) {
      Entry& entry = entries_[index];
      const at::Tensor& value = entry.parameter.value;
      at::Tensor gradient = value.grad();
      if (!gradient.defined()) continue;
      if (gradient.strides() != value.strides()) gradient = at::empty_like(value).copy_(gradient);
      if (entry.step.defined()) entry.step.add_(1);
      if (!entry.packed.empty()) {
        step_packed(entry, gradient, lr * any.lr_scale);
        continue;
      }
      group.values.push_back(value);
      group.gradients.push_back(std::move(gradient));
      group.states.resize(entry.states.size());
      for (std::size_t i = 0; i < entry.states.size(); ++i) group.states[i].push_back(entry.states[i]);
      if (entry.layout.count_steps) group.steps.push_back(entry.step);
    }
    if (!group.values.empty()) update(group, lr * any.lr_scale);
  }
}

/// The update in pieces that stay in the cache, each with its states unpacked before and packed again after.
void FusedOptimizer::step_packed(Entry& entry, const at::Tensor& gradient, double lr) {
  constexpr std::int64_t kPiece = 64 * Packed::kBlock;
  const std::int64_t n = gradient.numel(), at_step = static_cast<std::int64_t>(entry.step.item<float>());
  const at::Tensor value = entry.parameter.value.detach().as_strided({n}, {1}), flat = gradient.as_strided({n}, {1});
  at::parallel_for(0, (n + kPiece - 1) / kPiece, 1, [&](std::int64_t first, std::int64_t last) {
    const at::NoGradGuard no_grad;
    for (std::int64_t piece = first; piece < last; ++piece) {
      const std::int64_t begin = piece * kPiece, count = std::min(kPiece, n - begin);
      Group group;
      group.decay = entry.parameter.decay;
      group.hidden = entry.parameter.hidden;
      group.values.push_back(value.narrow(0, begin, count));
      group.gradients.push_back(flat.narrow(0, begin, count));
      if (entry.layout.count_steps) group.steps.push_back(entry.step);
      for (const Packed& packed : entry.packed) {
        group.states.push_back({at::empty({count}, value.options())});
        packed.unpack(begin, group.states.back()[0]);
      }
      update(group, lr);
      for (std::size_t i = 0; i < entry.packed.size(); ++i) entry.packed[i].pack(begin, group.states[i][0], at_step);
    }
  });
  entry.parameter.value.unsafeGetTensorImpl()->bump_version();
}

std::map<std::string, at::Tensor> FusedOptimizer::state() const {
  std::map<std::string, at::Tensor> state;
  for (const Entry& entry : entries_) {
    for (std::size_t i = 0; i < entry.layout.states.size(); ++i) {
      const std::string name = entry.parameter.name + "/" + entry.layout.states[i].name;
      state[name] = (entry.packed.empty() ? entry.states[i] : entry.packed[i].codes).contiguous();
      if (!entry.packed.empty() && entry.packed[i].scales.defined()) state[name + "_scale"] = entry.packed[i].scales;
    }
    if (entry.step.defined()) state[entry.parameter.name + "/step"] = entry.step;
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
    if (found->second.scalar_type() != tensor.scalar_type())
      throw Error(Exit::kInput, name, fmt::format("optimizer state of {}, expected {}", c10::toString(found->second.scalar_type()),
                                                  c10::toString(tensor.scalar_type())));
    tensor.copy_(found->second);
  };
  for (Entry& entry : entries_) {
    for (std::size_t i = 0; i < entry.layout.states.size(); ++i) {
      const std::string name = entry.parameter.name + "/" + entry.layout.states[i].name;
      restore(name, entry.packed.empty() ? entry.states[i] : entry.packed[i].codes);
      if (!entry.packed.empty() && entry.packed[i].scales.defined()) restore(name + "_scale", entry.packed[i].scales);
    }
    if (entry.step.defined()) restore(entry.parameter.name + "/step", entry.step);
  }
}

}  // namespace ds::optim
