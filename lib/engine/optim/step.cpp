#include "base/catalog/schedule/step.h"

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::step {

/// decay_rate for each decay_epochs of the run that are over; those of the warm-up count.
double factor(const core::Options& base, const ScheduleContext& at, std::int64_t warmup) {
  const auto& options = static_cast<const catalog::schedule::step::Options&>(base);
  const double length = std::max(1.0, std::round(options.decay_epochs * static_cast<double>(at.steps_per_epoch)));
  return std::pow(options.decay_rate, std::floor(static_cast<double>(at.step + warmup) / length));
}
const core::Body<ScheduleFactor> body{"schedule", "step", factor};

}  // namespace ds::optim::step
