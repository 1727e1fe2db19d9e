#include "base/catalog/loss/cosine.h"

#include "engine/train/loss.h"

namespace ds::train::cosine_loss {

class Cosine : public Loss {
 public:
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    const at::Tensor rows = unit_rows(outputs.at(0));
    const at::Tensor cosine = rows.slice(0, 0, {}, 2).mul(rows.slice(0, 1, {}, 2)).sum(1);
    return cosine.sub(labels.slice(0, 0, {}, 2).squeeze(1).to(rows.scalar_type())).square().repeat_interleave(2);
  }
};

std::unique_ptr<Loss> make(const core::Options&, const LossSetting& setting) {
  require_labels(setting.data.train.tokens.target == data::Target::kScored, "cosine", "scored pairs", setting.data);
  return std::make_unique<Cosine>();
}
const core::Body<MakeLoss> body{"loss", "cosine", make};

}  // namespace ds::train::cosine_loss
