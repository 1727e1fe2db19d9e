#include "base/catalog/regularizer/cutmix.h"

#include "base/catalog/regularizer/mixup.h"
#include "engine/train/regularizers/mixing.h"

namespace ds::train::cutmix {

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const bool both = setting.fit.regularize.more.as<catalog::regularizer::mixup::Options>("mixup").mixup > 0;
  return static_cast<const catalog::regularizer::cutmix::Options&>(options).cutmix > 0 && !both ? make_mixing(setting, "cutmix") : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "cutmix", make};

}  // namespace ds::train::cutmix
