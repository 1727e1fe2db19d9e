#include "base/catalog/schedule/constant.h"

#include "engine/optim/optimizer.h"

namespace ds::optim::constant {

/// min(1, (step + 1) / warmup_steps)
double factor(const core::Options& base, std::int64_t step, std::int64_t) {
  const auto& options = static_cast<const catalog::schedule::constant::Options&>(base);
  if (step >= options.warmup_steps) return 1;
  return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
}
const core::Body<ScheduleFactor> body{"schedule", "constant", factor};

}  // namespace ds::optim::constant
