#include "base/core/interval.h"

#include <algorithm>
#include <cmath>

namespace ds::core {

std::pair<double, double> wilson(double p, double n) {
  if (!(n > 0)) return {0, 1};
  const double z = 1.959963984540054, scale = 1 / (1 + z * z / n), centre = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, scale * (centre - half)), std::min(1.0, scale * (centre + half))};
}

}  // namespace ds::core
