// Observers: from a histogram of an activation to the range that 0..127 stands for. Cards in base/catalog/observer.
#pragma once
#include <cstdint>
#include <vector>

#include "base/core/registry.h"

namespace ds::compress {

/// Scale and zero point of a u8 activation in 0..127: x = (q - zero_point) * scale. 0 is exactly representable.
struct QParams {
  float scale = 1;
  std::int32_t zero_point = 0;
};
/// Those that hold [low, high] and 0: scale = (high - low) / 127 (at least 1e-12), zero_point = round(-low / scale).
QParams make_qparams(double low, double high);

/// Counts of values in equal bins from low to high.
struct Histogram {
  double low = 0, high = 0;
  std::vector<double> counts;
  double center(std::size_t bin) const { return low + (high - low) * (double(bin) + 0.5) / double(counts.size()); }
};

using ChooseRange = QParams(const Histogram& histogram, const core::Options& options);

/// Sum over bins of count * (x - dequantize(quantize(x)))^2.
double squared_error(const Histogram& histogram, const QParams& q);

}  // namespace ds::compress
