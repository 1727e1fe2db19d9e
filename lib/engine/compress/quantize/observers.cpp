#include <cmath>

#include "base/catalog/observer/histogram.h"
#include "base/catalog/observer/min-max.h"
#include "base/catalog/observer/percentile.h"
#include "engine/compress/quantize/observer.h"

namespace ds::compress {

QParams make_qparams(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  QParams q;
  q.scale = float(std::max((high - low) / 127, 1e-12));
  q.zero_point = std::int32_t(std::clamp(std::nearbyint(-low / q.scale), 0.0, 127.0));
  return q;
}

double squared_error(const Histogram& histogram, const QParams& q) {
  double sum = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    if (histogram.counts[i] == 0) continue;
    const double x = histogram.center(i), code = std::clamp(std::nearbyint(x / q.scale) + q.zero_point, 0.0, 127.0);
    const double e = x - (code - q.zero_point) * q.scale;
    sum += histogram.counts[i] * e * e;
  }
  return sum;
}

namespace observers {

QParams min_max(const Histogram& h, const core::Options&) { return make_qparams(h.low, h.high); }

QParams percentile(const Histogram& h, const core::Options& options) {
  const double quantile = static_cast<const catalog::observer::percentile::Options&>(options).quantile;
  double total = 0, sum = 0, low = h.low, high = h.high;
  for (const double c : h.counts) total += c;
  std::size_t first = 0, last = h.counts.size();
  while (first < last && sum + h.counts[first] <= (1 - quantile) * total) sum += h.counts[first++];
  sum = 0;
  while (last > first && sum + h.counts[last - 1] <= (1 - quantile) * total) sum += h.counts[--last];
  const double width = (h.high - h.low) / double(h.counts.size());
  if (h.low < 0) low = h.low + width * double(first);
  high = h.low + width * double(last);
  return make_qparams(low, high);
}

QParams histogram(const Histogram& h, const core::Options& options) {
  const std::int64_t steps = static_cast<const catalog::observer::histogram::Options&>(options).steps;
  QParams best = make_qparams(h.low, h.high);
  double least = squared_error(h, best);
  for (std::int64_t i = 1; i < steps; ++i) {
    const double share = 1 - 0.8 * double(i) / double(steps);
    const QParams q = make_qparams(h.low * share, h.high * share);
    const double error = squared_error(h, q);
    if (error < least) {
      least = error;
      best = q;
    }
  }
  return best;
}

const core::Body<ChooseRange> bodies[] = {{"observer", "min-max", min_max}, {"observer", "percentile", percentile}, {"observer", "histogram", histogram}};

}  // namespace observers
}  // namespace ds::compress
