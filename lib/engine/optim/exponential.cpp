#include "base/catalog/schedule/exponential.h"

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::exponential {

double factor(const core::Options& base, const ScheduleContext& at, std::int64_t) {
  const auto& options = static_cast<const catalog::schedule::exponential::Options&>(base);
  return std::pow(options.decay_rate, static_cast<double>(at.step) / static_cast<double>(std::max<std::int64_t>(1, at.steps_per_epoch)));
}
const core::Body<ScheduleFactor> body{"schedule", "exponential", factor};

}  // namespace ds::optim::exponential
