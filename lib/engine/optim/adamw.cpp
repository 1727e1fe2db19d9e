#include "base/catalog/optimizer/adamw.h"

#include <ATen/ops/_fused_adamw.h>

#include "base/core/error.h"
#include "engine/optim/optimizer.h"

namespace ds::optim::adamw {

using Options = catalog::optimizer::adamw::Options;

class AdamW : public FusedOptimizer {
 public:
  AdamW(std::vector<Parameter> parameters, const Options& options)
      : FusedOptimizer(std::move(parameters), {"exp_avg", "exp_avg_sq"}, true), options_(options) {
    if (options.betas.size() != 2) throw Error(Exit::kUsage, "optim.betas", "expected two values, got " + std::to_string(options.betas.size()));
  }

 protected:
  void update(Group& group, double lr, bool decay) override {
    at::_fused_adamw_(group.values, group.gradients, group.states[0], group.states[1], {}, group.steps, lr, options_.betas[0], options_.betas[1],
                      decay ? options_.weight_decay : 0.0, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<AdamW>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "adamw", make};

}  // namespace ds::optim::adamw
