#include "engine/exec/kernel.h"

#include <ATen/TracerMode.h>
#include <c10/core/GradMode.h>

namespace ds::exec {

namespace {

class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(std::function<void(StepArgs&)> run) : run_(std::move(run)) {}
  void run(StepArgs& args) override { run_(args); }

 private:
  std::function<void(StepArgs&)> run_;
};

std::vector<Fusion>& table() {
  static std::vector<Fusion> fusions;
  return fusions;
}

}  // namespace

Kernel::~Kernel() = default;

at::Tensor StepArgs::slot_as(int i, at::ScalarType type) const {
  const at::Tensor& weight = slot(i);
  if (!weight.defined() || weight.scalar_type() == type) return weight;
  if (!casts_ || weight.is_inference() || at::tracer::impl::is_dispatch_enabled()) return weight.to(type);
  Cast& cast = casts_[i];
  const std::int64_t step = context.training ? context.step : -1;
  const auto version = static_cast<std::uint32_t>(weight._version());
  const bool grad = c10::GradMode::is_enabled() && weight.requires_grad();
  if (!cast.made.defined() || cast.made.scalar_type() != type || cast.data != weight.const_data_ptr() || cast.version != version || cast.step != step ||
      cast.grad != grad) {
    cast.made.reset();  // before the new one takes its memory
    cast = {weight.to(type), weight.const_data_ptr(), version, step, grad};
  }
  return cast.made;
}

at::ScalarType StepArgs::layer_type(const at::Tensor& x, const at::Tensor& weight) const {
  const bool narrow = x.is_floating_point() && x.scalar_type() != at::kDouble && weight.scalar_type() != at::kDouble;
  return context.autocast != at::ScalarType::Undefined && narrow ? context.autocast : weight.scalar_type();
}

std::unique_ptr<Kernel> kernel(std::function<void(StepArgs&)> run) { return std::make_unique<FunctionKernel>(std::move(run)); }

FusionRegistrar::FusionRegistrar(Fusion fusion) {
  auto& all = table();
  // Longest first, then by name: the order of registration is the linker's and must not matter.
  const auto before = [](const Fusion& a, const Fusion& b) {
    return a.chain.size() != b.chain.size() ? a.chain.size() > b.chain.size() : a.chain < b.chain;
  };
  all.insert(std::upper_bound(all.begin(), all.end(), fusion, before), std::move(fusion));
}

const std::vector<Fusion>& fusions() { return table(); }

}  // namespace ds::exec
