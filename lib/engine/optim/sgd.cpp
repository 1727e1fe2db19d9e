#include "base/catalog/optimizer/sgd.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_fused_sgd.h>

#include "engine/optim/optimizer.h"

namespace ds::optim::sgd {

using Options = catalog::optimizer::sgd::Options;

class Sgd : public FusedOptimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const Options& options) : FusedOptimizer(std::move(parameters), layout(options)), options_(options) {}

  static Layout layout(const Options& options) {
    if (options.momentum > 0) return {{{"momentum"}}, false, state_bits(options.state_bits)};
    return {};
  }

 protected:
  void update(Group& group, double lr) override {
    // A buffer of zeros gives what "first step" would: momentum * 0 + gradient, since there is no dampening.
    const bool momentum = options_.momentum > 0, apart = group.decay && options_.decoupled_decay && options_.weight_decay > 0;
    if (apart) at::_foreach_mul_(group.values, 1 - lr * options_.weight_decay);
    at::_fused_sgd_(group.values, group.gradients, momentum ? at::TensorList(group.states[0]) : at::TensorList{},
                    group.decay && !apart ? options_.weight_decay : 0.0, options_.momentum, lr, /*dampening=*/0.0, options_.nesterov && momentum,
                    /*maximize=*/false, /*is_first_step=*/false);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Sgd>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "sgd", make};

}  // namespace ds::optim::sgd
