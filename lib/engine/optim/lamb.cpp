#include "base/catalog/optimizer/lamb.h"

#include <ATen/ops/empty_like.h>

#include <cmath>

#include "engine/optim/loops.h"
#include "engine/optim/optimizer.h"

namespace ds::optim::lamb {

using Options = catalog::optimizer::lamb::Options;

class Lamb : public FusedOptimizer {
 public:
  Lamb(std::vector<Parameter> parameters, const Options& options)
      : FusedOptimizer(std::move(parameters), Layout{{{"exp_avg"}, {"exp_avg_sq", false}}, true}), options_(options) {}

 protected:
  void update(Group& group, double lr) override {
    for (std::size_t i = 0; i < group.values.size(); ++i) {
      const at::Tensor& value = group.values[i];
      const at::Tensor step = at::empty_like(value);
      const double t = group.steps[i].item<float>();
      loops::lamb(value, group.gradients[i], group.states[0][i], group.states[1][i], step, options_.betas[0], options_.betas[1],
                  1 - std::pow(options_.betas[0], t), 1 - std::pow(options_.betas[1], t), options_.eps, group.decay ? options_.weight_decay : 0);
      double ratio = 1;
      if (group.decay || options_.always_adapt) {
        const double weights = value.norm().item<double>(), length = step.norm().item<double>();
        if (weights > 0 && length > 0) ratio = weights / length;
      }
      value.sub_(step, lr * ratio);
    }
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Lamb>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "lamb", make};

}  // namespace ds::optim::lamb
