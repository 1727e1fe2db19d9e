#include "engine/tune/outputs.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/special_ndtri.h>

#include <algorithm>
#include <cmath>

namespace ds::tune {
namespace {

double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

/// Root mean square of the distance to a centre of those that `take` keeps; 0 where there is none.
template <class Take>
double spread(const std::vector<double>& v, double centre, Take take) {
  double sum = 0;
  std::size_t n = 0;
  for (const double x : v)
    if (take(x)) sum += (x - centre) * (x - centre), ++n;
  return n > 0 ? std::sqrt(sum / static_cast<double>(n)) : 0;
}

void warp_bad_half(std::vector<double>& y) {
  std::vector<double> unique = y, sorted = y;
  std::sort(sorted.begin(), sorted.end());
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  const std::size_t n = sorted.size();
  const double median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  double sd = spread(unique, median, [&](double x) { return x >= median; });
  if (sd == 0) sd = spread(unique, median, [](double) { return true; });
  const auto below = static_cast<double>(std::lower_bound(unique.begin(), unique.end(), median) - unique.begin());
  const double ranks = below + (std::binary_search(unique.begin(), unique.end(), median) ? 0.5 : 0);
  for (double& x : y) {
    if (x >= median) continue;
    const auto rank = static_cast<double>(std::lower_bound(unique.begin(), unique.end(), x) - unique.begin()) + 1;
    x = median + sd * at::special_ndtri(at::scalar_tensor(0.5 * (rank - 0.5) / ranks, at::kDouble)).item<double>();
  }
}

}  // namespace

std::vector<double> model_outputs(const std::vector<double>& values, bool half_rank) {
  std::vector<double> good;
  for (const double x : values)
    if (std::isfinite(x)) good.push_back(x);
  const std::size_t failed = values.size() - good.size();
  if (half_rank) warp_bad_half(good);
  const double mean = mean_of(good), sd = spread(good, mean, [](double) { return true; });
  for (double& x : good) x = (x - mean) / (sd > 0 ? sd : 1);
  const auto [least, most] = std::minmax_element(good.begin(), good.end());
  const double bad = *least - (0.5 * (*most - *least) + 1);
  const double p = (0.5 + static_cast<double>(good.size())) / (1 + static_cast<double>(values.size()));
  const double shift = failed > 0 ? -mean_of(good) * p - bad * (1 - p) : 0;
  std::vector<double> out;
  std::size_t next = 0;
  for (const double x : values) out.push_back((std::isfinite(x) ? good[next++] : bad) + shift);
  return out;
}

}  // namespace ds::tune
