#include "engine/data/picture_ops.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ds::data {
namespace {

float in_range(double value) { return static_cast<float>(std::clamp(value, 0.0, 255.0)); }

float blend(float own, double other, double factor) { return in_range(factor * static_cast<double>(own) + (1 - factor) * other); }

double grey(const float* in, const Shape& shape, std::int64_t pixel) {
  const std::int64_t plane = shape.height * shape.width;
  if (shape.channels != 3) return static_cast<double>(in[pixel]);
  return 0.2989 * static_cast<double>(in[pixel]) + 0.587 * static_cast<double>(in[plane + pixel]) + 0.114 * static_cast<double>(in[2 * plane + pixel]);
}

int level(float value) { return static_cast<int>(std::clamp(value, 0.0F, 255.0F)); }

}  // namespace

void brightness(const float* in, float* out, const Shape& shape, double factor) {
  for (std::int64_t i = 0; i < shape.numel(); ++i) out[i] = in_range(static_cast<double>(in[i]) * factor);
}

void saturation(const float* in, float* out, const Shape& shape, double factor) {
  const std::int64_t plane = shape.height * shape.width;
  if (shape.channels != 3) {
    std::copy_n(in, shape.numel(), out);
    return;
  }
  for (std::int64_t p = 0; p < plane; ++p) {
    const double other = grey(in, shape, p);
    for (std::int64_t c = 0; c < 3; ++c) out[c * plane + p] = blend(in[c * plane + p], other, factor);
  }
}

void contrast(const float* in, float* out, const Shape& shape, double factor) {
  const std::int64_t plane = shape.height * shape.width;
  double mean = 0;
  for (std::int64_t p = 0; p < plane; ++p) mean += grey(in, shape, p) / static_cast<double>(plane);
  for (std::int64_t i = 0; i < shape.numel(); ++i) out[i] = blend(in[i], mean, factor);
}

void sharpness(const float* in, float* out, const Shape& shape, double factor) {
  const std::int64_t height = shape.height, width = shape.width;
  std::copy_n(in, shape.numel(), out);
  for (std::int64_t c = 0; c < shape.channels; ++c)
    for (std::int64_t y = 1; y + 1 < height; ++y)
      for (std::int64_t x = 1; x + 1 < width; ++x) {
        const float* at = in + (c * height + y) * width + x;
        double sum = 4 * static_cast<double>(*at);
        for (std::int64_t row = -1; row <= 1; ++row)
          for (std::int64_t column = -1; column <= 1; ++column) sum += static_cast<double>(at[row * width + column]);
        out[(c * height + y) * width + x] = blend(*at, sum / 13, factor);
      }
}

void posterize(const float* in, float* out, const Shape& shape, int bits) {
  const int mask = 255 & ~(255 >> bits);
  for (std::int64_t i = 0; i < shape.numel(); ++i) out[i] = static_cast<float>(level(in[i]) & mask);
}

void solarize(const float* in, float* out, const Shape& shape, double threshold) {
  for (std::int64_t i = 0; i < shape.numel(); ++i) out[i] = static_cast<double>(in[i]) >= threshold ? 255 - in[i] : in[i];
}

void autocontrast(const float* in, float* out, const Shape& shape) {
  const std::int64_t plane = shape.height * shape.width;
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    const float* from = in + c * plane;
    const auto [low, high] = std::minmax_element(from, from + plane);
    const double scale = *high > *low ? 255 / static_cast<double>(*high - *low) : 1, offset = *high > *low ? static_cast<double>(*low) : 0;
    for (std::int64_t p = 0; p < plane; ++p) out[c * plane + p] = in_range((static_cast<double>(from[p]) - offset) * scale);
  }
}

void equalize(const float* in, float* out, const Shape& shape) {
  const std::int64_t plane = shape.height * shape.width;
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    const float* from = in + c * plane;
    std::array<std::int64_t, 256> count{};
    for (std::int64_t p = 0; p < plane; ++p) ++count[static_cast<std::size_t>(level(from[p]))];
    const auto last = std::find_if(count.rbegin(), count.rend(), [](std::int64_t n) { return n > 0; });
    const std::int64_t step = (plane - (last == count.rend() ? 0 : *last)) / 255;
    std::array<float, 256> table{};
    std::int64_t before = step / 2;
    for (std::size_t i = 0; i < table.size(); before += count[i++])
      table[i] = step == 0 ? static_cast<float>(i) : static_cast<float>(std::min<std::int64_t>(before / step, 255));
    for (std::int64_t p = 0; p < plane; ++p) out[c * plane + p] = step == 0 ? from[p] : table[static_cast<std::size_t>(level(from[p]))];
  }
}

}  // namespace ds::data
