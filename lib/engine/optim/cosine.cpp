#include "base/catalog/schedule/cosine.h"

#include <cmath>
#include <numbers>

#include "engine/optim/optimizer.h"

namespace ds::optim::cosine {

/// (step + 1) / warmup_steps, then final + (1 - final) (1 + cos(pi t / T)) / 2 with t steps since the warm-up, T those after it.
double factor(const core::Options& base, std::int64_t step, std::int64_t total) {
  const auto& options = static_cast<const catalog::schedule::cosine::Options&>(base);
  if (step < options.warmup_steps) return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  const double length = static_cast<double>(std::max<std::int64_t>(1, total - options.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - options.warmup_steps) / length);
  return options.final_factor + (1 - options.final_factor) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}
const core::Body<ScheduleFactor> body{"schedule", "cosine", factor};

}  // namespace ds::optim::cosine
