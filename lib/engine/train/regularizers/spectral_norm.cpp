#include "base/catalog/regularizer/spectral-norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/core/error.h"
#include "engine/exec/random.h"
#include "engine/train/parts.h"
#include "engine/train/regularizers/weights.h"

namespace ds::train::spectral_norm {

using Options = catalog::regularizer::spectral_norm::Options;

constexpr int kFirstIterations = 15;  ///< from a random vector, before the first step
constexpr double kTiny = 1e-12;

at::Tensor unit(const at::Tensor& vectors) { return vectors.div(vectors.norm(2, {1}, true).clamp_min(kTiny)); }

/// Holds each weight after a step. The left singular vector is kept from step to step.
struct Bound : Callback {
  Options options;
  std::vector<LayerWeight> weights;
  std::map<std::string, at::Tensor> left;  ///< by weight: [groups, outputs]
  explicit Bound(const Options& o) : options(o) {}

  void hold(Trainer& trainer, std::int64_t iterations) {
    const at::NoGradGuard no_grad;
    for (const LayerWeight& weight : weights) {
      at::Tensor& value = trainer.model().tensors.at(weight.name);
      const at::Tensor w = weight.matrices(value);
      at::Tensor u = left.at(weight.name), v;
      for (std::int64_t i = 0; i < iterations; ++i) {
        v = unit(u.unsqueeze(1).matmul(w).squeeze(1));
        u = unit(w.matmul(v.unsqueeze(2)).squeeze(2));
      }
      left[weight.name] = u;
      const at::Tensor sigma = w.matmul(v.unsqueeze(2)).squeeze(2).mul(u).sum(1);  // [groups]
      // A grouped convolution is a block matrix: its norm is that of its largest block.
      const double largest = sigma.max().item<double>();
      if (largest > options.spectral_norm) value.mul_(options.spectral_norm / largest);
    }
  }

  void on_start(Trainer& trainer) override {
    weights = layer_weights(trainer);
    if (weights.empty()) throw Error(Exit::kUsage, "regularize.spectral_norm", "the model has no linear or convolutional layer that is trained");
    for (const LayerWeight& weight : weights) {
      const at::Tensor w = weight.matrices(trainer.model().tensors.at(weight.name)).detach();
      at::Tensor u = at::empty({w.size(0), w.size(1)}, w.options());
      exec::fill_normal(u, 0, 1, exec::stream_key(trainer.options().seed, "spectral_norm", weight.name));
      left[weight.name] = unit(u);
    }
    hold(trainer, kFirstIterations);
  }
  void on_step(Trainer& trainer) override { hold(trainer, options.spectral_norm_iterations); }

  std::map<std::string, at::Tensor> tensors() const override { return left; }
  void load_tensors(const std::map<std::string, at::Tensor>& saved) override {
    for (auto& [name, vector] : left) vector = saved.at(name).clone();
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const auto& o = static_cast<const Options&>(options);
  return o.spectral_norm > 0 ? std::make_shared<Bound>(o) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "spectral-norm", make};

}  // namespace ds::train::spectral_norm
