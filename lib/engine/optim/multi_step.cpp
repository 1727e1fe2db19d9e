#include "base/catalog/schedule/multi-step.h"

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::multi_step {

/// decay_rate for each milestone that is passed; epochs of the warm-up count.
double factor(const core::Options& base, const ScheduleContext& at, std::int64_t warmup) {
  const auto& options = static_cast<const catalog::schedule::multi_step::Options&>(base);
  double factor = 1;
  for (const double epochs : options.milestones)
    if (static_cast<double>(at.step + warmup) >= std::round(epochs * static_cast<double>(at.steps_per_epoch))) factor *= options.decay_rate;
  return factor;
}
const core::Body<ScheduleFactor> body{"schedule", "multi-step", factor};

}  // namespace ds::optim::multi_step
