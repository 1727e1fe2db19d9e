#include "base/catalog/optimizer/rmsprop.h"

#include "engine/optim/loops.h"
#include "engine/optim/optimizer.h"

namespace ds::optim::rmsprop {

using Options = catalog::optimizer::rmsprop::Options;

class RmsProp : public FusedOptimizer {
 public:
  RmsProp(std::vector<Parameter> parameters, const Options& options) : FusedOptimizer(std::move(parameters), layout(options)), options_(options) {}

  static Layout layout(const Options& options) {
    Layout layout{{{"square_avg", false}}};
    if (options.centered) layout.states.push_back({"grad_avg"});
    if (options.momentum > 0) layout.states.push_back({"momentum"});
    return layout;
  }

 protected:
  void update(Group& group, double lr) override {
    const double decay = group.decay ? options_.weight_decay : 0;
    const loops::RmsProp by{lr, options_.alpha, options_.momentum, options_.decoupled_decay ? 0 : decay, options_.eps,
                            options_.decoupled_decay ? 1 - lr * decay : 1};
    for (std::size_t i = 0; i < group.values.size(); ++i)
      loops::rmsprop(group.values[i], group.gradients[i], group.states[0][i], options_.centered ? group.states[1][i] : at::Tensor(),
                     options_.momentum > 0 ? group.states.back()[i] : at::Tensor(), by);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<RmsProp>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "rmsprop", make};

}  // namespace ds::optim::rmsprop
