#include <algorithm>
#include <cmath>

#include "base/core/interval.h"
#include "engine/train/metrics/metrics.h"

namespace ds::train::metrics {
namespace {

constexpr double kZ = 1.959963984540054;

double variance(const std::vector<double>& values) {
  if (values.empty()) return 0;
  double sum = 0, square = 0;
  for (const double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (const double value : values) square += (value - mean) * (value - mean);
  return square / static_cast<double>(values.size());
}

}  // namespace

void put(nlohmann::json& figures, const std::string& name, const Estimate& estimate) {
  if (!std::isfinite(estimate.value)) return;
  figures[name] = estimate.value;
  figures[name + "_low"] = estimate.low;
  figures[name + "_high"] = estimate.high;
}

Estimate share(std::int64_t correct, std::int64_t n) {
  const double value = n > 0 ? static_cast<double>(correct) / static_cast<double>(n) : 0;
  const auto [low, high] = core::wilson(value, static_cast<double>(n));
  return {value, low, high};
}

Estimate bounded(double value, const std::vector<double>& influence, double least, double most) {
  const double n = static_cast<double>(influence.size()), width = most - least, p = std::clamp((value - least) / width, 0.0, 1.0);
  const double spread = variance(influence) / (width * width), own = p * (1 - p);
  // As many samples as would give a share this variance; where the variance is 0 (all right, all wrong), those there are.
  const double as_many = spread > 0 && own > 0 ? n * own / spread : n;
  const auto [low, high] = core::wilson(p, as_many);
  return {value, least + width * low, least + width * high};
}

Estimate unbounded(double value, const std::vector<double>& influence, double least) {
  const double half = influence.empty() ? 0 : kZ * std::sqrt(variance(influence) / static_cast<double>(influence.size()));
  return {value, std::max(least, value - half), value + half};
}

Estimate mean(const std::vector<double>& values, double least) {
  double sum = 0;
  for (const double value : values) sum += value;
  return unbounded(values.empty() ? 0 : sum / static_cast<double>(values.size()), values, least);
}

}  // namespace ds::train::metrics
