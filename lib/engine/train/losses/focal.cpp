#include "base/catalog/loss/focal.h"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/where.h>

#include "engine/train/loss.h"

namespace ds::train::focal_loss {

class Focal : public Loss {
 public:
  Focal(double gamma, at::Tensor weights) : gamma_(gamma), weights_(std::move(weights)) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    const at::Tensor& logits = outputs.at(0);
    const at::Tensor rows = labels.dim() == 1 ? logits : logits.flatten(0, 1), asked = labels.flatten().ge(0), classes = labels.flatten().clamp_min(0);
    const at::Tensor log_p = at::log_softmax(rows, 1).gather(1, classes.unsqueeze(1)).squeeze(1);
    // (1 - p) ^ gamma by its logarithm's own function: at p = 1 the derivative of pow would be infinite for gamma below 1.
    at::Tensor loss = log_p.neg();
    if (gamma_ > 0) loss = loss.mul(log_p.expm1().neg().clamp_min(1e-12).pow(gamma_));
    if (weights_.defined()) loss = loss.mul(weights_.to(rows.scalar_type()).index_select(0, classes));
    return at::where(asked, loss, loss.detach().mul(0));
  }

 private:
  double gamma_;
  at::Tensor weights_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  const auto& options = static_cast<const catalog::loss::focal::Options&>(given);
  require_labels(setting.data.tells_classes(), "focal", "classes", setting.data);
  return std::make_unique<Focal>(options.gamma, class_weights(options.class_weights, setting.data));
}
const core::Body<MakeLoss> body{"loss", "focal", make};

}  // namespace ds::train::focal_loss
