// Resizing as in Pillow's src/libImaging/Resample.c (8 bits a channel), of no more than is kept.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/error.h"
#include "base/io/image.h"

namespace ds::io {
namespace {

constexpr std::int64_t kBlock = 32;  ///< bytes whose sums are made at once
constexpr int kBits = 22;  ///< of the fixed-point weights: 32, less 8 of a pixel and 2 for sums beyond 1

double weight(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::kBilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/// Which inputs, and how much of each, make the outputs first, first + 1 ... of one axis.
struct Taps {
  struct Run {
    std::int64_t begin, size;
  };
  std::vector<Run> runs;
  std::int64_t stride = 0;            ///< weights an output
  std::vector<std::int32_t> weights;  ///< [outputs, stride]
  std::int64_t begin() const { return runs.front().begin; }
  std::int64_t end() const { return runs.back().begin + runs.back().size; }
  void shift(std::int64_t by) {
    for (Run& run : runs) run.begin -= by;
  }
};

Taps taps(std::int64_t in, std::int64_t out, std::int64_t first, std::int64_t count, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), wide = std::max(scale, 1.0);
  const double support = (filter == Filter::kBilinear ? 1 : 2) * wide, inverse = 1.0 / wide;
  Taps taps;
  taps.stride = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  taps.weights.assign(static_cast<std::size_t>(count * taps.stride), 0);
  std::vector<double> row(static_cast<std::size_t>(taps.stride));
  for (std::int64_t i = 0; i < count; ++i) {
    const double center = (static_cast<double>(first + i) + 0.5) * scale;
    const std::int64_t begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const std::int64_t size = std::min(in, static_cast<std::int64_t>(center + support + 0.5)) - begin;
    double sum = 0;
    for (std::int64_t k = 0; k < size; ++k)
      sum += row[static_cast<std::size_t>(k)] = weight(filter, (static_cast<double>(k + begin) - center + 0.5) * inverse);
    for (std::int64_t k = 0; k < size; ++k) {
      const double w = row[static_cast<std::size_t>(k)] / (sum != 0 ? sum : 1);
      taps.weights[static_cast<std::size_t>(i * taps.stride + k)] = static_cast<std::int32_t>(w * (1 << kBits) + (w < 0 ? -0.5 : 0.5));
    }
    taps.runs.push_back({begin, size});
  }
  return taps;
}

std::uint8_t clip(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

/// Each of `lines` lines of n pixels, `step` bytes apart from pixel to pixel, `line` from line to line; `wide` bytes side by side.
struct Layout {
  std::int64_t lines, line, step, wide;
};

/// A grey pixel from `size` that are next to each other.
[[gnu::always_inline]] inline void apply_near(const std::uint8_t* source, const std::int32_t* weights, std::int64_t size, std::uint8_t* target) {
  std::int32_t sum = 1 << (kBits - 1);
  for (std::int64_t k = 0; k < size; ++k) sum += source[k] * weights[k];
  *target = clip(sum);
}

/// A pixel of three bytes from `size` that are next to each other: one vector of sums, whose fourth is of no account.
[[gnu::always_inline]] inline void apply_colours(const std::uint8_t* source, const std::int32_t* weights, std::int64_t size, std::uint8_t* target) {
  typedef std::int32_t Sums __attribute__((vector_size(16)));
  typedef std::uint8_t Bytes __attribute__((vector_size(4)));
  Sums sums = Sums{} + (1 << (kBits - 1));
  Bytes bytes{};
  for (std::int64_t k = 0; k + 1 < size; ++k) {
    std::memcpy(&bytes, source + 3 * k, 4);
    sums += __builtin_convertvector(bytes, Sums) * weights[k];
  }
  std::memcpy(&bytes, source + 3 * (size - 1), 3);  // behind the last pixel there may be nothing
  sums += __builtin_convertvector(bytes, Sums) * weights[size - 1];
  for (int c = 0; c < 3; ++c) target[c] = clip(sums[c]);
}

/// N bytes side by side, each from `size` bytes that are `step` apart. N is known, so that a compiler makes vectors of the sums.
template <std::int64_t N>
[[gnu::always_inline]] inline void apply_rows(const std::uint8_t* source, std::int64_t step, const std::int32_t* weights, std::int64_t size,
                                              std::uint8_t* target) {
  std::int32_t sums[N];
  for (std::int64_t c = 0; c < N; ++c) sums[c] = 1 << (kBits - 1);
  for (std::int64_t k = 0; k < size; ++k) {
    const std::uint8_t* row = source + k * step;
    const std::int32_t w = weights[k];
    for (std::int64_t c = 0; c < N; ++c) sums[c] += row[c] * w;
  }
  for (std::int64_t c = 0; c < N; ++c) target[c] = clip(sums[c]);
}

/// One axis: out[line][i][...] = sum of weights times in[line][begin + k][...]. Integers alone: the same bytes whatever it is compiled for.
__attribute__((target_clones("default", "avx2"))) void apply(const Taps& taps, const std::uint8_t* in, const Layout& from, std::uint8_t* out,
                                                             const Layout& to) {
  const auto count = static_cast<std::int64_t>(taps.runs.size());
  for (std::int64_t line = 0; line < from.lines; ++line)
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [begin, size] = taps.runs[static_cast<std::size_t>(i)];
      const std::int32_t* weights = taps.weights.data() + i * taps.stride;
      const std::uint8_t* source = in + line * from.line + begin * from.step;
      std::uint8_t* target = out + line * to.line + i * to.step;
      if (from.step == 3 && from.wide == 3)
        apply_colours(source, weights, size, target);
      else if (from.step == 1 && from.wide == 1)
        apply_near(source, weights, size, target);
      else
        for (std::int64_t c = 0; c < from.wide;)
          if (from.wide - c >= kBlock) {
            apply_rows<kBlock>(source + c, from.step, weights, size, target + c);
            c += kBlock;
          } else {
            apply_rows<1>(source + c, from.step, weights, size, target + c);
            ++c;
          }
    }
}

struct Window {
  std::int64_t top, left, height, width;
};

/// The window of what resizing to height x width would give: of a long and narrow picture the whole may not fit in memory.
Image resize_window(const Image& image, std::int64_t height, std::int64_t width, const Window& w, Filter filter) {
  const std::int64_t channels = image.channels, line = image.width * channels, row = w.width * channels;
  // Where a side stays, its one tap is the pixel itself: the same bytes as without that pass.
  Taps across = taps(image.width, width, w.left, w.width, filter), down = taps(image.height, height, w.top, w.height, filter);
  const std::int64_t top = down.begin(), rows = down.end() - top, left = across.begin(), used = (across.end() - left) * channels;
  // Bytes between the passes are rounded, so their order shows: this is that of Pillow 13 (found by trying); older ones have rows always first.
  const bool columns_first = height < image.height && image.height - height > 2 * (image.width - width);
  Image out{w.height, w.width, channels, std::vector<std::uint8_t>(static_cast<std::size_t>(w.height * row))};
  std::vector<std::uint8_t> half(static_cast<std::size_t>(columns_first ? w.height * used : rows * row));
  if (columns_first) {
    apply(down, image.pixels.data() + left * channels, {1, 0, line, used}, half.data(), {1, 0, used, used});
    across.shift(left);
    apply(across, half.data(), {w.height, used, channels, channels}, out.pixels.data(), {w.height, row, channels, channels});
  } else {
    apply(across, image.pixels.data() + top * line, {rows, line, channels, channels}, half.data(), {rows, row, channels, channels});
    down.shift(top);
    apply(down, half.data(), {1, 0, row, row}, out.pixels.data(), {1, 0, row, row});
  }
  return out;
}

/// (whole - part) / 2, halves to even.
std::int64_t offset(std::int64_t whole, std::int64_t part) {
  const std::int64_t twice = whole - part, half = twice / 2;
  return twice % 2 == 0 ? half : half + half % 2;
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) { throw Error(Exit::kInput, where, what); }

bool is_side(const nlohmann::json& value) { return value.is_number_integer() && value >= 1 && value <= 65536; }

void read_resize(Fit& fit, const nlohmann::json& value, const std::string& where) {
  if (is_side(value)) {
    fit.shorter = value;
    if (fit.shorter < std::max(fit.height, fit.width))
      refuse(where, fmt::format("'resize' is {}, expected at least {} as the shape has", fit.shorter, std::max(fit.height, fit.width)));
    return;
  }
  if (!value.is_array() || value.size() != 2 || !is_side(value[0]) || !is_side(value[1]))
    refuse(where, fmt::format("'resize' is {}, expected the length of the shorter side or [height, width]", value.dump()));
  fit.resize_height = value[0];
  fit.resize_width = value[1];
  if (fit.resize_height < fit.height || fit.resize_width < fit.width)
    refuse(where, fmt::format("'resize' is {}, expected at least [{},{}] as the shape has", value.dump(), fit.height, fit.width));
}

}  // namespace

Image resize(const Image& image, std::int64_t height, std::int64_t width, Filter filter) {
  return resize_window(image, height, width, {0, 0, height, width}, filter);
}

Image center_crop(const Image& image, std::int64_t height, std::int64_t width) {
  Image out{height, width, image.channels, {}};
  const std::int64_t top = offset(image.height, height), left = offset(image.width, width), row = width * image.channels;
  out.pixels.resize(static_cast<std::size_t>(height * row));
  for (std::int64_t y = 0; y < height; ++y)
    std::copy_n(image.pixels.data() + ((top + y) * image.width + left) * image.channels, row, out.pixels.data() + y * row);
  return out;
}

Fit fit_of(const nlohmann::json& preprocessing, const std::string& where) {
  if (!preprocessing.is_object()) refuse(where, fmt::format("is {}, expected a map", preprocessing.type_name()));
  const auto shape = preprocessing.value("shape", nlohmann::json());
  if (!shape.is_array() || shape.size() != 3 || !std::all_of(shape.begin(), shape.end(), is_side))
    refuse(where, fmt::format("'shape' is {}, expected [channels, height, width]", shape.dump()));
  Fit fit;
  fit.channels = shape[0];
  fit.height = shape[1];
  fit.width = shape[2];
  if (fit.channels != 1 && fit.channels != 3) refuse(where, fmt::format("'shape' has {} channels, expected 1 or 3 as pictures have", fit.channels));
  const auto resize = preprocessing.find("resize"), crop = preprocessing.find("crop"), interpolation = preprocessing.find("interpolation");
  if (resize != preprocessing.end()) read_resize(fit, *resize, where);
  if (crop != preprocessing.end()) {
    if (!crop->is_boolean()) refuse(where, fmt::format("'crop' is {}, expected true or false", crop->dump()));
    if (!crop->get<bool>()) {
      if (resize != preprocessing.end() && (fit.resize_height != fit.height || fit.resize_width != fit.width))
        refuse(where, fmt::format("'resize' is {}, expected [{},{}] where nothing is cropped", resize->dump(), fit.height, fit.width));
      fit.resize_height = fit.height;
      fit.resize_width = fit.width;
    }
  }
  if (interpolation != preprocessing.end()) {
    if (*interpolation != "bilinear" && *interpolation != "bicubic")
      refuse(where, fmt::format("'interpolation' is {}, expected \"bilinear\" or \"bicubic\"", interpolation->dump()));
    fit.filter = *interpolation == "bicubic" ? Filter::kBicubic : Filter::kBilinear;
  }
  return fit;
}

Image fit_image(const Image& image, const Fit& fit) {
  std::int64_t height = fit.resize_height, width = fit.resize_width;
  if (height == 0) {
    const bool low = fit.shorter > 0 ? image.height <= image.width : image.height * fit.width <= image.width * fit.height;  // the height decides
    height = low ? (fit.shorter > 0 ? fit.shorter : fit.height) : 0;
    width = low ? 0 : (fit.shorter > 0 ? fit.shorter : fit.width);
    if (low)
      width = std::max(fit.width, height * image.width / image.height);
    else
      height = std::max(fit.height, width * image.height / image.width);
  }
  if (height == image.height && width == image.width) return center_crop(image, fit.height, fit.width);
  return resize_window(image, height, width, {offset(height, fit.height), offset(width, fit.width), fit.height, fit.width}, fit.filter);
}

}  // namespace ds::io
