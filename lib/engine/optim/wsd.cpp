#include "base/catalog/schedule/wsd.h"

#include <cmath>
#include <numbers>

#include "engine/optim/optimizer.h"

namespace ds::optim::wsd {

/// 1, and over the last decay_share of the steps from there to final_factor.
double factor(const core::Options& base, const ScheduleContext& at, std::int64_t) {
  const auto& options = static_cast<const catalog::schedule::wsd::Options&>(base);
  const double length = std::round(options.decay_share * static_cast<double>(at.total)), begin = static_cast<double>(at.total) - length;
  if (static_cast<double>(at.step) < begin || length == 0) return 1;
  const double done = std::min(1.0, (static_cast<double>(at.step) - begin) / length);
  const double left = options.decay_shape == "linear"   ? 1 - done
                      : options.decay_shape == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * done))
                                                        : 1 - std::sqrt(done);
  return options.final_factor + (1 - options.final_factor) * left;
}
const core::Body<ScheduleFactor> body{"schedule", "wsd", factor};

}  // namespace ds::optim::wsd
