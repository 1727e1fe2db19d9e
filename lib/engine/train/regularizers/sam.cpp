#include "base/catalog/regularizer/sam.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "engine/train/parts.h"

namespace ds::train::sam {

using Options = catalog::regularizer::sam::Options;

struct Sharpness : Callback {
  Options options;
  explicit Sharpness(const Options& o) : options(o) {}

  /// Where the loss is highest within rho, to first order: rho * T^2 g / |T g| with T = |w| if adaptive, else 1.
  void climb(const std::vector<optim::Parameter>& parameters) const {
    double squared = 0;
    std::vector<std::pair<at::Tensor, at::Tensor>> moves;  // weight, direction
    for (const optim::Parameter& parameter : parameters) {
      const at::Tensor& gradient = parameter.value.grad();
      if (!gradient.defined()) continue;
      const at::Tensor scaled = options.sam_adaptive ? gradient.mul(parameter.value.abs()) : gradient;
      squared += std::pow(scaled.norm().item<double>(), 2);
      moves.emplace_back(parameter.value, options.sam_adaptive ? scaled.mul(parameter.value.abs()) : gradient);
    }
    const double length = options.sam / (std::sqrt(squared) + 1e-12);
    for (auto& [weight, direction] : moves) weight.add_(direction, length);
  }

  void on_gradients(Trainer& trainer) override {
    const at::NoGradGuard no_grad;
    // Weights are put back by copy, so that not a bit of them changes; statistics stay those of the weights themselves.
    std::vector<std::pair<at::Tensor, at::Tensor>> before;
    for (auto& [name, tensor] : trainer.model().tensors)
      if (tensor.is_floating_point()) before.emplace_back(tensor, tensor.detach().clone());
    climb(trainer.parameters());
    trainer.compute_gradients();
    for (auto& [tensor, value] : before) tensor.copy_(value);
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const auto& o = static_cast<const Options&>(options);
  return o.sam > 0 ? std::make_shared<Sharpness>(o) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "sam", make};

}  // namespace ds::train::sam
