#include "base/catalog/schedule/polynomial.h"

#include <cmath>

#include "engine/optim/optimizer.h"

namespace ds::optim::polynomial {

double factor(const core::Options& base, const ScheduleContext& at, std::int64_t) {
  const auto& options = static_cast<const catalog::schedule::polynomial::Options&>(base);
  const double left = std::max(0.0, 1 - static_cast<double>(at.step) / static_cast<double>(at.total));
  return options.final_factor + (1 - options.final_factor) * std::pow(left, options.power);
}
const core::Body<ScheduleFactor> body{"schedule", "polynomial", factor};

}  // namespace ds::optim::polynomial
