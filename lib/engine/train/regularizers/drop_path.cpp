#include "base/catalog/regularizer/drop-path.h"

#include "base/graph/residual.h"
#include "engine/train/parts.h"

namespace ds::train::drop_path {

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const double p = static_cast<const catalog::regularizer::drop_path::Options&>(options).drop_path;
  if (p >= 0) graph::set_drop_path(setting.model.graph, p);
  return nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "drop-path", make};

}  // namespace ds::train::drop_path
