#include "base/graph/windows.h"

namespace ds::graph {
namespace windows {

/// Which part of the image a row or column is of: what was shifted is after size - shift, what shares a window with it after size - window.
std::int64_t part(std::int64_t at, std::int64_t size, std::int64_t window, std::int64_t shift) {
  return shift == 0 || at < size - window ? 0 : at < size - shift ? 1 : 2;
}

}  // namespace windows

std::vector<float> window_mask(const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& window, const std::vector<std::int64_t>& shift,
                               double value) {
  const std::int64_t columns = size[1] / window[1], count = size[0] / window[0] * columns, pixels = window[0] * window[1];
  std::vector<float> mask;
  mask.reserve(static_cast<std::size_t>(count * pixels * pixels));
  std::vector<std::int64_t> parts(static_cast<std::size_t>(pixels));
  for (std::int64_t w = 0; w < count; ++w) {
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::int64_t row = w / columns * window[0] + p / window[1], column = w % columns * window[1] + p % window[1];
      parts[static_cast<std::size_t>(p)] = 3 * windows::part(row, size[0], window[0], shift[0]) + windows::part(column, size[1], window[1], shift[1]);
    }
    for (const std::int64_t i : parts)
      for (const std::int64_t j : parts) mask.push_back(i == j ? 0.0F : static_cast<float>(value));
  }
  return mask;
}

}  // namespace ds::graph
