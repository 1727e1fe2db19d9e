#include "base/catalog/regularizer/weight-ema.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "base/catalog/regularizer/swa.h"
#include "base/core/error.h"
#include "engine/train/parts.h"

namespace ds::train::weight_ema {

using Options = catalog::regularizer::weight_ema::Options;

struct Mean : Callback {
  Options options;
  std::map<std::string, at::Tensor> mean;  ///< of every float tensor
  explicit Mean(const Options& o) : options(o) {}

  void on_start(Trainer& trainer) override {
    for (const auto& [name, tensor] : trainer.model().tensors)
      if (tensor.is_floating_point()) mean[name] = tensor.detach().clone();
  }
  void on_step(Trainer& trainer) override {
    const at::NoGradGuard no_grad;
    const double step = static_cast<double>(trainer.step() - 1);
    double decay = options.weight_ema_decay;
    if (options.weight_ema_warmup) decay = std::min(decay, 1 - std::pow(1 + step, -2.0 / 3));
    for (auto& [name, tensor] : mean) tensor.lerp_(trainer.model().tensors.at(name), 1 - decay);
  }
  const std::map<std::string, at::Tensor>* averaged() const override { return &mean; }
  std::map<std::string, at::Tensor> tensors() const override { return mean; }
  void load_tensors(const std::map<std::string, at::Tensor>& saved) override {
    for (auto& [name, tensor] : mean) tensor.copy_(saved.at(name));
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const Options&>(options);
  if (!o.weight_ema) return nullptr;
  if (setting.fit.regularize.more.as<catalog::regularizer::swa::Options>("swa").swa > 0)
    throw Error(Exit::kUsage, "regularize.weight_ema", "and regularize.swa are both set: a run ends with one average of its weights", "leave one out");
  return std::make_shared<Mean>(o);
}
const core::Body<MakeRegularizer> body{"regularizer", "weight-ema", make};

}  // namespace ds::train::weight_ema
