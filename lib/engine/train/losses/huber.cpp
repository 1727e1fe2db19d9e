#include "base/catalog/loss/huber.h"

#include <ATen/ops/huber_loss.h>

#include "engine/train/loss.h"

namespace ds::train::huber_loss {

class Huber : public Loss {
 public:
  explicit Huber(const catalog::loss::huber::Options& options) : options_(options) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    return at::huber_loss(outputs.at(0), labels.to(outputs[0].scalar_type()), at::Reduction::None, options_.delta).mean(1);
  }

 private:
  catalog::loss::huber::Options options_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  require_labels(!setting.data.values.empty(), "huber", "numbers", setting.data);
  return std::make_unique<Huber>(static_cast<const catalog::loss::huber::Options&>(given));
}
const core::Body<MakeLoss> body{"loss", "huber", make};

}  // namespace ds::train::huber_loss
