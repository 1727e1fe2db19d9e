#include "base/catalog/loss/mse.h"

#include <ATen/ops/mse_loss.h>

#include "engine/train/loss.h"

namespace ds::train::mse_loss {

class Mse : public Loss {
 public:
  explicit Mse(const catalog::loss::mse::Options& options) : options_(options) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    return at::mse_loss(outputs.at(0), labels.to(outputs[0].scalar_type()), at::Reduction::None).mean(1);
  }

 private:
  catalog::loss::mse::Options options_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  require_labels(!setting.data.values.empty(), "mse", "numbers", setting.data);
  return std::make_unique<Mse>(static_cast<const catalog::loss::mse::Options&>(given));
}
const core::Body<MakeLoss> body{"loss", "mse", make};

}  // namespace ds::train::mse_loss
