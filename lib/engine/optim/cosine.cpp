#include "base/catalog/schedule/cosine.h"

#include <cmath>
#include <numbers>

#include "engine/optim/optimizer.h"

namespace ds::optim::cosine {

/// height (final + (1 - final) (1 + cos(pi t / T)) / 2), t steps into a cycle of T.
double factor(const core::Options& base, const ScheduleContext& at, std::int64_t) {
  const auto& options = static_cast<const catalog::schedule::cosine::Options&>(base);
  double length = static_cast<double>(at.total), done = static_cast<double>(at.step), height = 1;
  if (options.cycle_epochs > 0) {
    length = std::max(1.0, std::round(options.cycle_epochs * static_cast<double>(at.steps_per_epoch)));
    for (; done >= length; height *= options.cycle_decay) {
      done -= length;
      length *= options.cycle_mul;
    }
  }
  const double fall = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done / length)));
  return height * (options.final_factor + (1 - options.final_factor) * fall);
}
const core::Body<ScheduleFactor> body{"schedule", "cosine", factor};

}  // namespace ds::optim::cosine
