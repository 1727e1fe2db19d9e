#include "base/catalog/regularizer/mixup.h"

#include "engine/train/regularizers/mixing.h"

namespace ds::train::mixup {

/// With both, this one does the work of the two.
std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  return static_cast<const catalog::regularizer::mixup::Options&>(options).mixup > 0 ? make_mixing(setting, "mixup") : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "mixup", make};

}  // namespace ds::train::mixup
