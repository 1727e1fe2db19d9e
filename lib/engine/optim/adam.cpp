#include "base/catalog/optimizer/adam.h"

#include <ATen/ops/_fused_adam.h>

#include "engine/optim/optimizer.h"

namespace ds::optim::adam {

using Options = catalog::optimizer::adam::Options;

class Adam : public FusedOptimizer {
 public:
  Adam(std::vector<Parameter> parameters, const Options& options) : FusedOptimizer(std::move(parameters), layout(options)), options_(options) {}

  static Layout layout(const Options& options) {
    Layout layout{{{"exp_avg"}, {"exp_avg_sq", false}}, true, state_bits(options.state_bits)};
    if (options.amsgrad) layout.states.push_back({"max_exp_avg_sq", false});
    return layout;
  }

 protected:
  void update(Group& group, double lr) override {
    at::_fused_adam_(group.values, group.gradients, group.states[0], group.states[1],
                      options_.amsgrad ? at::TensorList(group.states[2]) : at::TensorList{}, group.steps, lr, options_.betas[0], options_.betas[1],
                      group.decay ? options_.weight_decay : 0.0, options_.eps, options_.amsgrad, /*maximize=*/false);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Adam>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "adam", make};

}  // namespace ds::optim::adam
