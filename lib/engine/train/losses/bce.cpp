#include "base/catalog/loss/bce.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include "engine/train/loss.h"

namespace ds::train::bce_loss {

class Bce : public Loss {
 public:
  Bce(double smoothing, at::Tensor weights) : smoothing_(smoothing), weights_(std::move(weights)) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    const at::Tensor& logits = outputs.at(0);
    const at::Tensor rows = labels.dim() == 1 ? logits : logits.flatten(0, 1), asked = labels.flatten().ge(0);
    const double off = smoothing_ / static_cast<double>(rows.size(1));
    const at::Tensor targets = at::full_like(rows.detach(), off).scatter_(1, labels.flatten().clamp_min(0).unsqueeze(1), 1 - smoothing_ + off);
    const c10::optional<at::Tensor> weights = weights_.defined() ? c10::optional<at::Tensor>(weights_.to(rows.scalar_type())) : c10::nullopt;
    const at::Tensor loss = at::binary_cross_entropy_with_logits(rows, targets, weights, {}, at::Reduction::None).mean(1);
    return at::where(asked, loss, loss.detach().mul(0));
  }

 private:
  double smoothing_;
  at::Tensor weights_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  const auto& options = static_cast<const catalog::loss::bce::Options&>(given);
  require_labels(setting.data.tells_classes(), "bce", "classes", setting.data);
  return std::make_unique<Bce>(setting.label_smoothing, class_weights(options.class_weights, setting.data));
}
const core::Body<MakeLoss> body{"loss", "bce", make};

}  // namespace ds::train::bce_loss
