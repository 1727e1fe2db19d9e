#include "base/catalog/optimizer/muon.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::muon {

using Options = catalog::optimizer::muon::Options;

/// Nearly the orthogonal matrix next to g [A, B], all singular values about 1: steps of the quintic a x + b x^3 + c x^5 on them (Newton-Schulz).
at::Tensor orthogonal(const at::Tensor& g, std::int64_t steps) {
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  const bool tall = g.size(0) > g.size(1);
  at::Tensor x = tall ? g.t() : g;
  x = x.div(x.norm().clamp_min(1e-7));  // the largest singular value is then at most 1
  for (std::int64_t i = 0; i < steps; ++i) {
    const at::Tensor gram = at::mm(x, x.t());
    x = at::addmm(x, at::addmm(gram, gram, gram, b, c), x, a, 1);
  }
  return tall ? x.t() : x;
}

class Muon : public FusedOptimizer {
 public:
  Muon(std::vector<Parameter> parameters, const Options& options) : FusedOptimizer(only_matrices(std::move(parameters)), layout), options_(options) {}

  static std::vector<Parameter> only_matrices(std::vector<Parameter> parameters) {
    for (Parameter& parameter : parameters) parameter.hidden = parameter.hidden && parameter.value.dim() >= 2;
    return parameters;
  }
  static Layout layout(const Parameter& parameter) {
    if (parameter.hidden) return {{{"momentum"}}};
    return {{{"exp_avg"}, {"exp_avg_sq", false}}, true};
  }

 protected:
  void update(Group& group, double lr) override {
    const double decay = group.decay ? options_.weight_decay : 0;
    if (!group.hidden) {
      at::_fused_adamw_(group.values, group.gradients, group.states[0], group.states[1], {}, group.steps, lr * options_.adam_factor, options_.betas[0],
                        options_.betas[1], decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
      return;
    }
    for (std::size_t i = 0; i < group.values.size(); ++i) {
      const at::Tensor &value = group.values[i], &gradient = group.gradients[i], &mean = group.states[0][i];
      mean.lerp_(gradient, 1 - options_.momentum);
      const at::Tensor along = options_.nesterov ? gradient.lerp(mean, options_.momentum) : mean;
      const at::Tensor matrix = along.reshape({along.size(0), -1});  // a convolution's kernels as rows
      const double rows = static_cast<double>(matrix.size(0)), columns = static_cast<double>(matrix.size(1));
      const double adjusted = lr * (options_.adjust_lr == "original" ? std::sqrt(std::max(1.0, rows / columns)) : 0.2 * std::sqrt(std::max(rows, columns)));
      value.mul_(1 - lr * decay);
      value.sub_(orthogonal(matrix, options_.ns_steps).reshape(value.sizes()), adjusted);
    }
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Muon>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "muon", make};

}  // namespace ds::optim::muon
