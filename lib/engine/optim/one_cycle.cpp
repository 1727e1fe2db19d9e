#include "base/catalog/schedule/one-cycle.h"

#include <cmath>
#include <numbers>

#include "engine/optim/optimizer.h"

namespace ds::optim::one_cycle {

double anneal(double from, double to, double done) { return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * done)); }

/// As torch.optim.lr_scheduler.OneCycleLR (cosine, two phases): the peak is at step pct_start * total - 1, the lowest at total - 1.
double factor(const core::Options& base, const ScheduleContext& context, std::int64_t warmup) {
  const auto& options = static_cast<const catalog::schedule::one_cycle::Options&>(base);
  const double first = 1 / options.div_factor, last = first / options.final_div_factor;
  const double end = static_cast<double>(std::max<std::int64_t>(1, context.total - 1));
  const double rise = warmup > 0 ? static_cast<double>(warmup) : options.pct_start * static_cast<double>(context.total);
  const double peak = std::clamp(rise - 1, 0.0, end);
  const double at = std::min(static_cast<double>(context.step), end);
  if (at < peak) return anneal(first, 1, at / peak);
  return end > peak ? anneal(1, last, (at - peak) / (end - peak)) : 1;
}
const core::Body<ScheduleFactor> body{"schedule", "one-cycle", factor};

}  // namespace ds::optim::one_cycle
