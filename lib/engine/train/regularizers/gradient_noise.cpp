#include "base/catalog/regularizer/gradient-noise.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cmath>

#include "engine/exec/random.h"
#include "engine/train/parts.h"

namespace ds::train::gradient_noise {

using Options = catalog::regularizer::gradient_noise::Options;

struct Noise : Callback {
  Options options;
  explicit Noise(const Options& o) : options(o) {}
  void on_backward(Trainer& trainer) override {
    const at::NoGradGuard no_grad;
    const double deviation = std::sqrt(options.gradient_noise / std::pow(1.0 + static_cast<double>(trainer.step()), options.gradient_noise_gamma));
    for (const optim::Parameter& parameter : trainer.parameters()) {
      at::Tensor& gradient = parameter.value.mutable_grad();
      if (!gradient.defined()) continue;
      at::Tensor noise = at::empty(gradient.sizes(), gradient.options().memory_format(at::MemoryFormat::Contiguous));
      const std::string key = fmt::format("{}:{}", parameter.name, trainer.step());
      exec::fill_normal(noise, 0, deviation, exec::stream_key(trainer.options().seed, "gradient_noise", key));
      gradient.add_(noise);
    }
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const auto& o = static_cast<const Options&>(options);
  return o.gradient_noise > 0 ? std::make_shared<Noise>(o) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "gradient-noise", make};

}  // namespace ds::train::gradient_noise
