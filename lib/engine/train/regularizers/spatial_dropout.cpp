#include "base/catalog/regularizer/spatial-dropout.h"

#include "base/graph/residual.h"
#include "engine/train/parts.h"

namespace ds::train::spatial_dropout {

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const double p = static_cast<const catalog::regularizer::spatial_dropout::Options&>(options).spatial_dropout;
  if (p > 0) graph::set_spatial_dropout(setting.model.graph, p);
  return nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "spatial-dropout", make};

}  // namespace ds::train::spatial_dropout
