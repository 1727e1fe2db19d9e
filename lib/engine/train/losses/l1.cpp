#include "base/catalog/loss/l1.h"

#include <ATen/ops/l1_loss.h>

#include "engine/train/loss.h"

namespace ds::train::l1_loss {

class L1 : public Loss {
 public:
  explicit L1(const catalog::loss::l1::Options& options) : options_(options) {}
  at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const override {
    return at::l1_loss(outputs.at(0), labels.to(outputs[0].scalar_type()), at::Reduction::None).mean(1);
  }

 private:
  catalog::loss::l1::Options options_;
};

std::unique_ptr<Loss> make(const core::Options& given, const LossSetting& setting) {
  require_labels(!setting.data.values.empty(), "l1", "numbers", setting.data);
  return std::make_unique<L1>(static_cast<const catalog::loss::l1::Options&>(given));
}
const core::Body<MakeLoss> body{"loss", "l1", make};

}  // namespace ds::train::l1_loss
