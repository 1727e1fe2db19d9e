// Minimiser for smooth functions of few variables.
#pragma once
#include <functional>
#include <vector>

namespace ds::tune {

/// Value at x; fills `gradient` (sized like x). Not finite: a point that the search turns away from.
using Objective = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

struct MinimiseOptions {
  int iterations = 200;
  int memory = 10;
  double gradient_tolerance = 1e-6;  ///< of the largest component of the projected gradient
  double value_tolerance = 1e-10;    ///< relative change of the value between steps
  std::vector<double> lower, upper;  ///< empty: unbounded
};

/// L-BFGS from x, which becomes the best point found; returns its value. With bounds, directions are kept to the variables that are free
/// and steps are projected. Source: Nocedal & Wright 2006, algorithms 7.4 and 7.5; Bertsekas 1982 for the projection.
double minimise(const Objective& objective, std::vector<double>& x, const MinimiseOptions& options = {});

}  // namespace ds::tune
