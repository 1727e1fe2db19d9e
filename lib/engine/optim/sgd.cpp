#include "base/catalog/optimizer/sgd.h"

#include <ATen/ops/_fused_sgd.h>

#include "engine/optim/optimizer.h"

namespace ds::optim::sgd {

using Options = catalog::optimizer::sgd::Options;

class Sgd : public FusedOptimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const Options& options)
      : FusedOptimizer(std::move(parameters), options.momentum > 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{}, false),
        options_(options) {}

 protected:
  void update(Group& group, double lr, bool decay) override {
    // A buffer of zeros gives what "first step" would: momentum * 0 + gradient, since there is no dampening.
    const bool momentum = options_.momentum > 0;
    at::_fused_sgd_(group.values, group.gradients, momentum ? at::TensorList(group.states[0]) : at::TensorList{}, decay ? options_.weight_decay : 0.0,
                    options_.momentum, lr, /*dampening=*/0.0, options_.nesterov && momentum, /*maximize=*/false, /*is_first_step=*/false);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Sgd>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "sgd", make};

}  // namespace ds::optim::sgd
