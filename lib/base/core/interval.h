// Confidence intervals.
#pragma once
#include <utility>

namespace ds::core {

/// Wilson's interval (1927) at 95 % for a share of n samples, within [0, 1]; {0, 1} where n is 0.
std::pair<double, double> wilson(double share, double n);

}  // namespace ds::core
