#include "engine/exec/kernel.h"

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
