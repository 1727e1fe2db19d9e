#include "base/catalog/schedule/plateau.h"

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::plateau {

/// All epochs that are done are gone through anew: nothing is remembered that a resume could lose.
double factor(const core::Options& base, const ScheduleContext& at, std::int64_t warmup) {
  const auto& options = static_cast<const catalog::schedule::plateau::Options&>(base);
  if (at.history == nullptr) return 1;
  const bool lower = options.better == "lower";
  double best = lower ? INFINITY : -INFINITY, factor = 1;
  std::int64_t bad = 0, cooling = 0;
  for (const nlohmann::json& row : *at.history) {
    if (row.value("step", std::int64_t{0}) > at.step + warmup) break;
    const auto value = row.find(options.metric);
    if (value == row.end() || !value->is_number())
      throw Error(Exit::kUsage, "schedule.metric", "an epoch has no figure \"" + options.metric + "\"", "without a validation split there is train_loss");
    const double now = value->get<double>();
    if (lower ? now < best * (1 - options.threshold) : now > best * (1 + options.threshold)) {
      best = now;
      bad = 0;
    } else {
      ++bad;
    }
    if (cooling > 0) {
      --cooling;
      bad = 0;
    }
    if (bad <= options.patience) continue;
    factor = std::max(factor * options.decay_rate, options.final_factor);
    cooling = options.cooldown;
    bad = 0;
  }
  return factor;
}
const core::Body<ScheduleFactor> body{"schedule", "plateau", factor};

}  // namespace ds::optim::plateau
