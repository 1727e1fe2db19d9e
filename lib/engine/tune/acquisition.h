// Log expected improvement (Ament et al. 2023, "Unexpected improvements to expected improvement", eq. 9): the same maximum as expected
// improvement, with a gradient where that is zero in floating point.
#pragma once

namespace ds::tune {

/// exp(x^2) erfc(x) for x >= 0, relative error below 1e-13.
double erfcx(double x);

/// log(phi(z) + z Phi(z)) and its derivative Phi(z) / (phi(z) + z Phi(z)), for any finite z.
struct LogH {
  double value, slope;
};
LogH log_h(double z);

/// log E[max(f - best, 0)] for f ~ N(mean, sd^2), sd > 0, and its derivatives.
struct LogImprovement {
  double value, by_mean, by_sd;
};
LogImprovement log_improvement(double mean, double sd, double best);

}  // namespace ds::tune
