#include "engine/exec/executor.h"

#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include "engine/exec/plan.h"

namespace ds::exec {

Executor::Executor(Model& model) : model_(model) {}
Executor::~Executor() = default;

Plan& Executor::plan(const PlanOptions& options, const std::vector<std::string>& tapped) {
  for (auto& plan : plans_)
    if (plan->fits(options, tapped)) return *plan;
  plans_.push_back(std::make_shared<Plan>(model_, options, tapped));
  return *plans_.back();
}

std::vector<at::Tensor> Executor::run(const std::vector<at::Tensor>& inputs, const RunContext& context, const PlanOptions& options,
                                      const std::vector<Tap>& taps) {
  std::vector<std::string> tapped;
  tapped.reserve(taps.size());
  for (const Tap& tap : taps) tapped.push_back(tap.value);
  return plan(options, tapped).run(inputs, context, taps);
}

void Executor::rebind() { plans_.clear(); }

std::string Executor::first_nonfinite(const std::vector<at::Tensor>& inputs, const RunContext& context) {
  const c10::NoGradGuard off;
  RunContext quiet = context;
  quiet.update_statistics = false;
  std::string found;
  Plan plain(model_, PlanOptions{.training = context.training, .fuse = false}, {});
  plain.walk(inputs, quiet, [&found](const std::string& node, const at::Tensor& value) {
    if (!value.is_floating_point() || at::isfinite(value).all().item<bool>()) return true;
    found = node;
    return false;
  });
  return found;
}

std::vector<std::string> Executor::describe(const PlanOptions& options, const std::vector<std::string>& tapped) { return plan(options, tapped).describe(); }

}  // namespace ds::exec
