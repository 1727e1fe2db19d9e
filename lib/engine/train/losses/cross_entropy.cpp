#include "base/catalog/loss/cross-entropy.h"

#include <ATen/ops/cross_entropy_loss.h>

#include "engine/train/loss.h"

namespace ds::train::cross_entropy_loss {

class CrossEntropy : public Loss {
 public:
  CrossEntropy(double smoothing, at::Tensor weights) : smoothing_(smoothing), weights_(std::move(weights)) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    const at::Tensor& logits = outputs.at(0);
    const at::Tensor rows = labels.dim() == 1 ? logits : logits.flatten(0, 1);
    const c10::optional<at::Tensor> weights = weights_.defined() ? c10::optional<at::Tensor>(weights_.to(rows.scalar_type())) : c10::nullopt;
    return at::cross_entropy_loss(rows, labels.flatten(), weights, at::Reduction::None, -100, smoothing_);
  }

 private:
  double smoothing_;
  at::Tensor weights_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  const auto& options = static_cast<const catalog::loss::cross_entropy::Options&>(given);
  require_labels(setting.data.tells_classes(), "cross-entropy", "classes", setting.data);
  return std::make_unique<CrossEntropy>(setting.label_smoothing, class_weights(options.class_weights, setting.data));
}
const core::Body<MakeLoss> body{"loss", "cross-entropy", make};

}  // namespace ds::train::cross_entropy_loss
