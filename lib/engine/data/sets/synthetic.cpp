#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "base/core/error.h"
#include "engine/data/assemble.h"
#include "engine/data/sets/synthetic_tokens.h"
#include "engine/exec/random.h"

namespace ds::data::sets::synthetic {

namespace {

using Options = catalog::dataset::synthetic::Options;

[[noreturn]] void refuse(const std::string& what, const std::string& hint = "") { throw Error(Exit::kUsage, "data", "synthetic: " + what, hint); }

std::vector<std::int64_t> parse_shape(const std::string& text) {
  std::vector<std::int64_t> dims;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('x', begin), text.size());
    dims.push_back(read_integer("synthetic", "shape", text.substr(begin, end - begin)));
    begin = end + 1;
  }
  bool fits = dims.size() == 3;
  for (const std::int64_t dim : dims) fits = fits && dim >= 1 && dim <= 4096;
  if (!fits) refuse(fmt::format("shape={}, expected CxHxW of 1 to 4096 each", text));
  return dims;
}

/// One smooth picture a class and channel: four slow waves of random direction and phase. [classes, C, H, W], between -1 and 1.
std::vector<float> prototypes(const std::vector<std::int64_t>& shape, const Options& options) {
  constexpr int kWaves = 4;
  const std::int64_t planes = options.classes * shape[0], height = shape[1], width = shape[2];
  const std::uint64_t key = exec::stream_key(std::uint64_t(options.seed), "synthetic", "prototypes");
  std::vector<float> values(std::size_t(planes * height * width));
  for (std::int64_t k = 0; k < planes; ++k) {
    exec::Stream stream(key, 0, std::uint64_t(k));
    double across[kWaves], along[kWaves], phase[kWaves];
    for (int w = 0; w < kWaves; ++w) {
      across[w] = stream.uniform(-2, 2) / double(width);
      along[w] = stream.uniform(-2, 2) / double(height);
      phase[w] = stream.uniform();
    }
    float* plane = values.data() + k * height * width;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        double sum = 0;
        for (int w = 0; w < kWaves; ++w) sum += std::cos(2 * std::numbers::pi * (across[w] * double(x) + along[w] * double(y) + phase[w]));
        plane[y * width + x] = static_cast<float>(sum / kWaves);
      }
    }
  }
  return values;
}

/// Sample i of a split: class i mod classes; grey 128 plus the class's picture, with a contrast of 60 to 120, plus noise of deviation 40.
Split draw(const char* name, std::int64_t n, const std::vector<float>& pictures, const std::vector<std::int64_t>& shape, const Options& options) {
  Split split;
  if (n == 0) return split;
  const std::int64_t size = shape[0] * shape[1] * shape[2];
  const std::uint64_t key = exec::stream_key(std::uint64_t(options.seed), "synthetic", name);
  split.images = at::empty({n, shape[0], shape[1], shape[2]}, at::TensorOptions().dtype(at::kByte));
  split.labels = at::empty({n}, at::TensorOptions().dtype(at::kLong));
  auto* bytes = split.images.mutable_data_ptr<std::uint8_t>();
  auto* labels = split.labels.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    labels[i] = i % options.classes;
    exec::Stream stream(key, 0, std::uint64_t(i));
    const auto contrast = static_cast<float>(stream.uniform(60, 120));
    const float* picture = pictures.data() + labels[i] * size;
    for (std::int64_t p = 0; p < size; ++p) {
      // The sum of four bytes is near enough to a normal of mean 510 and deviation 147.8, and needs one word.
      const std::uint32_t word = stream.next();
      const auto sum = static_cast<float>((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24));
      const float value = 128.5f + contrast * picture[p] + (sum - 510.0f) * (40.0f / 147.8f);
      bytes[i * size + p] = static_cast<std::uint8_t>(std::min(std::max(value, 0.0f), 255.0f));
    }
  }
  return split;
}

Dataset load(const std::string& rest, const core::Options& given) {
  Options options = static_cast<const Options&>(given);
  read_options("synthetic", rest, options);
  if (options.kind == "tokens") {
    const double tokens = double(options.length + 1) * (double(options.train) + double(options.val) + double(options.test));
    if (tokens > 1e9) refuse(fmt::format("{:.3g} tokens, expected at most 1e9", tokens), "ask for fewer or shorter samples");
    return synthetic::tokens(options);
  }
  const std::vector<std::int64_t> shape = parse_shape(options.shape);
  constexpr double kMost = 8e9;  // bytes: beyond it a slip of the keyboard is more likely than a wish
  const double size = double(shape[0]) * double(shape[1]) * double(shape[2]);
  const double bytes = size * (double(options.train) + double(options.val) + double(options.test) + 4 * double(options.classes));
  if (bytes > kMost) refuse(fmt::format("{:.3g} bytes, expected at most {:.3g}", bytes, kMost), "ask for fewer or smaller samples");
  const std::vector<float> pictures = prototypes(shape, options);
  Dataset set;
  set.num_classes = options.classes;
  set.labels = numbered(options.classes);
  set.preprocessing = Json::object();
  set.train = draw("train", options.train, pictures, shape, options);
  set.val = draw("val", options.val, pictures, shape, options);
  set.test = draw("test", options.test, pictures, shape, options);
  return set;
}

const core::Body<LoadDataset> body{"dataset", "synthetic", load};

}  // namespace

}  // namespace ds::data::sets::synthetic
