#include "base/catalog/optimizer/adagrad.h"

#include <ATen/ops/_fused_adagrad.h>

#include "engine/optim/optimizer.h"

namespace ds::optim::adagrad {

using Options = catalog::optimizer::adagrad::Options;

class Adagrad : public FusedOptimizer {
 public:
  Adagrad(std::vector<Parameter> parameters, const Options& options)
      : FusedOptimizer(std::move(parameters), Layout{{{"sum", false, options.initial_sum}}, true}), options_(options) {}

 protected:
  void update(Group& group, double lr) override {
    at::_fused_adagrad_(group.values, group.gradients, group.states[0], group.steps, lr, options_.lr_decay, group.decay ? options_.weight_decay : 0.0,
                        options_.eps, /*maximize=*/false);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Adagrad>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "adagrad", make};

}  // namespace ds::optim::adagrad
