#include "base/catalog/loss/contrastive.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>

#include <limits>

#include "engine/train/loss.h"

namespace ds::train {

at::Tensor unit_rows(const at::Tensor& vectors) { return vectors.div(vectors.square().sum(1, true).clamp_min(1e-24).sqrt()); }

at::Tensor pair_loss(const at::Tensor& vectors, double temperature) {
  const at::Tensor rows = unit_rows(vectors), right = at::arange(rows.size(0) / 2, at::TensorOptions().dtype(at::kLong));
  const at::Tensor logits = rows.slice(0, 0, {}, 2).matmul(rows.slice(0, 1, {}, 2).t()).div(temperature);
  const auto loss = [&](const at::Tensor& scores) { return at::cross_entropy_loss(scores, right, {}, at::Reduction::None); };
  return at::stack({loss(logits), loss(logits.t())}, 1).flatten();
}

at::Tensor near_loss(const at::Tensor& vectors, const at::Tensor& labels, double temperature) {
  const at::Tensor rows = unit_rows(vectors), self = at::eye(rows.size(0), at::TensorOptions().dtype(at::kBool));
  const at::Tensor scores = rows.matmul(rows.t()).div(temperature).masked_fill(self, -std::numeric_limits<double>::infinity());
  const at::Tensor same = labels.unsqueeze(0).eq(labels.unsqueeze(1)).logical_and(self.logical_not());
  const at::Tensor log_p = at::log_softmax(scores, 1).masked_fill(same.logical_not(), 0);
  return log_p.sum(1).neg().div(same.sum(1).clamp_min(1));
}

namespace contrastive_loss {

class Contrastive : public Loss {
 public:
  Contrastive(double temperature, bool pairs) : temperature_(temperature), pairs_(pairs) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    return pairs_ ? pair_loss(outputs.at(0), temperature_) : near_loss(outputs.at(0), labels, temperature_);
  }
  std::int64_t correct(const std::vector<at::Tensor>&, const at::Tensor&) const override { return 0; }
  bool divisible() const override { return false; }

 private:
  double temperature_;
  bool pairs_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  const data::Target target = setting.data.train.tokens.target;
  require_labels(target == data::Target::kPair || target == data::Target::kNear, "contrastive", "pairs, or classes of vectors", setting.data);
  return std::make_unique<Contrastive>(static_cast<const catalog::loss::contrastive::Options&>(given).temperature, target == data::Target::kPair);
}
const core::Body<MakeLoss> body{"loss", "contrastive", make};

}  // namespace contrastive_loss
}  // namespace ds::train
