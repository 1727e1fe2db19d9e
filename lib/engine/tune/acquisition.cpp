#include "engine/tune/acquisition.h"

#include <cmath>
#include <numbers>

namespace ds::tune {
namespace {

const double kHalfLogTwoPi = 0.5 * std::log(2 * std::numbers::pi);
const double kRootHalfPi = std::sqrt(std::numbers::pi / 2);

}  // namespace

double erfcx(double x) {
  if (x < 5) return std::exp(x * x) * std::erfc(x);
  // Laplace's continued fraction, from its tail: 40 terms are exact to rounding for x >= 5.
  double tail = x;
  for (int k = 40; k >= 1; --k) tail = x + 0.5 * k / tail;
  return std::numbers::inv_sqrtpi / tail;
}

LogH log_h(double z) {
  if (z > -1) {
    const double phi = std::exp(-z * z / 2 - kHalfLogTwoPi), cdf = 0.5 * std::erfc(-z / std::numbers::sqrt2), h = phi + z * cdf;
    return {std::log(h), cdf / h};
  }
  const double log_phi = -z * z / 2 - kHalfLogTwoPi;
  if (z > -20) {
    const double mills = kRootHalfPi * erfcx(-z / std::numbers::sqrt2);  // Phi(z) / phi(z)
    const double rest = 1 + z * mills;
    return {log_phi + std::log(rest), mills / rest};
  }
  // Asymptotic series of Mills' ratio: what is left of 1 - |z| m(z) by cancellation would have no digits further out.
  const double w = 1 / (z * z);
  double sum = 0, term = 1;  // (2k + 1)!! (-w)^k
  for (int k = 0; k < 12; ++k) {
    sum += term;
    term *= -(2 * k + 3) * w;
  }
  const double rest = w * sum, m = 1 - rest;  // 1 - |z| m(z), |z| m(z)
  return {log_phi + std::log(rest), m / (-z * rest)};
}

LogImprovement log_improvement(double mean, double sd, double best) {
  const double z = (mean - best) / sd;
  const LogH h = log_h(z);
  return {h.value + std::log(sd), h.slope / sd, (1 - z * h.slope) / sd};
}

}  // namespace ds::tune
