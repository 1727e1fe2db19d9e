#include "engine/data/augment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/catalog/augment/affine.h"
#include "base/catalog/augment/crop.h"
#include "base/catalog/augment/flip.h"
#include "base/core/error.h"
#include "base/core/values.h"

namespace ds::data {

Augment::~Augment() = default;

namespace {

void set_option(const std::string& name, const core::Fields& fields, const std::string& item, std::size_t place) {
  const auto refuse = [&](const std::string& what) { throw Error(Exit::kUsage, "data.augment", fmt::format("{}: {}", name, what)); };
  const std::size_t equals = item.find('=');
  const std::string value = equals == std::string::npos ? item : item.substr(equals + 1);
  const core::Entry* entry = nullptr;
  if (equals == std::string::npos) {
    if (place < fields.entries().size()) entry = &fields.entries()[place];
    else refuse(fmt::format("'{}' is one option too many, there are {}", item, fields.entries().size()));
  } else {
    std::vector<std::string> keys;
    for (const core::Entry& candidate : fields.entries()) {
      keys.push_back(candidate.path);
      if (candidate.path == item.substr(0, equals)) entry = &candidate;
    }
    if (!entry) refuse(fmt::format("unknown option '{}', one of {}", item.substr(0, equals), fmt::join(keys, ", ")));
  }
  if (const auto problem = core::assign(*entry, core::Value::scalar(value))) refuse(fmt::format("{}: {}", entry->path, problem->what));
}

}  // namespace

std::unique_ptr<Augment> make_augment(const std::string& text) {
  const std::string name = text.substr(0, text.find(':'));
  const core::Card& card = core::card("augment", name, "data.augment");
  const auto options = card.make_options();
  const core::Fields fields = core::walk(*options);
  for (std::size_t begin = name.size(), place = 0; begin < text.size(); ++place) {
    const std::size_t end = std::min(text.find(':', begin + 1), text.size());
    set_option(name, fields, text.substr(begin + 1, end - begin - 1), place);
    begin = end;
  }
  return core::body<MakeAugment>("augment", name)(*options);
}

void affine(const float* in, float* out, const Shape& shape, const AffineMap& map, std::vector<float>& scratch) {
  const std::int64_t C = shape.channels, H = shape.height, W = shape.width, row = W + 3, plane = (H + 3) * row;
  // A border of zeros, one wide before and two behind: with coordinates clamped to it, no pixel needs a test.
  scratch.assign(std::size_t(C * plane), 0.0f);
  for (std::int64_t c = 0; c < C; ++c) {
    for (std::int64_t y = 0; y < H; ++y) std::copy_n(in + (c * H + y) * W, W, scratch.data() + c * plane + (y + 1) * row + 1);
  }
  const double angle = map.degrees * std::numbers::pi / 180, cos = std::cos(angle) / map.scale, sin = std::sin(angle) / map.scale;
  const double x_x = cos, x_y = sin - map.shear_right, y_x = -sin - map.shear_down, y_y = cos;  // the inverse map
  const double centre_x = double(W - 1) / 2, centre_y = double(H - 1) / 2;
  const auto step_x = static_cast<float>(x_x), step_y = static_cast<float>(y_x);
  const auto end_x = static_cast<float>(W + 1), end_y = static_cast<float>(H + 1);
  for (std::int64_t y = 0; y < H; ++y) {
    // Where pixel (x, y) comes from: the inverse map, plus 1 for the border.
    const double right = -centre_x - map.right, down = double(y) - centre_y - map.down;
    const auto from_x = static_cast<float>(x_x * right + x_y * down + centre_x + 1),
               from_y = static_cast<float>(y_y * down + y_x * right + centre_y + 1);
    for (std::int64_t x = 0; x < W; ++x) {
      const float u = std::min(std::max(from_x + step_x * float(x), 0.0f), end_x), v = std::min(std::max(from_y + step_y * float(x), 0.0f), end_y);
      const int i = static_cast<int>(u), j = static_cast<int>(v);
      const float a = u - float(i), b = v - float(j);
      const float* corner = scratch.data() + j * row + i;
      for (std::int64_t c = 0; c < C; ++c, corner += plane) {
        const float top = corner[0] + a * (corner[1] - corner[0]), bottom = corner[row] + a * (corner[row + 1] - corner[row]);
        out[(c * H + y) * W + x] = top + b * (bottom - top);
      }
    }
  }
}

void crop(const float* in, float* out, const Shape& shape, std::int64_t top, std::int64_t left) {
  const std::int64_t H = shape.height, W = shape.width, begin = std::clamp<std::int64_t>(-left, 0, W),
                     end = std::clamp<std::int64_t>(W - left, begin, W);
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    for (std::int64_t y = 0; y < H; ++y) {
      float* line = out + (c * H + y) * W;
      const bool inside = y + top >= 0 && y + top < H;
      const std::int64_t from = inside ? begin : W, to = inside ? end : W;
      std::fill(line, line + from, 0.0f);
      if (to > from) std::copy_n(in + (c * H + y + top) * W + from + left, to - from, line + from);
      std::fill(line + to, line + W, 0.0f);
    }
  }
}

void flip(const float* in, float* out, const Shape& shape) {
  const std::int64_t W = shape.width;
  for (std::int64_t line = 0; line < shape.channels * shape.height; ++line) std::reverse_copy(in + line * W, in + (line + 1) * W, out + line * W);
}

namespace augments {

struct Affine : Augment {
  catalog::augment::affine::Options options;
  explicit Affine(const core::Options& o) : options(static_cast<const catalog::augment::affine::Options&>(o)) {
    if (options.min_scale > options.max_scale) throw Error(Exit::kUsage, "data.augment", "affine: min-scale is above max-scale");
  }
  void apply(const float* in, float* out, const Shape& shape, exec::Stream& stream, std::vector<float>& scratch) const override {
    AffineMap map;
    map.degrees = stream.uniform(-options.degrees, options.degrees);
    map.right = stream.uniform(-options.translate, options.translate) * double(shape.width);
    map.down = stream.uniform(-options.translate, options.translate) * double(shape.height);
    map.scale = stream.uniform(options.min_scale, options.max_scale);
    affine(in, out, shape, map, scratch);
  }
};

struct Crop : Augment {
  std::int64_t padding;
  explicit Crop(const core::Options& o) : padding(static_cast<const catalog::augment::crop::Options&>(o).padding) {}
  void apply(const float* in, float* out, const Shape& shape, exec::Stream& stream, std::vector<float>&) const override {
    const auto places = std::uint64_t(2 * padding + 1);
    const std::int64_t top = std::int64_t(stream.below(places)) - padding, left = std::int64_t(stream.below(places)) - padding;
    crop(in, out, shape, top, left);
  }
};

struct Flip : Augment {
  double probability;
  explicit Flip(const core::Options& o) : probability(static_cast<const catalog::augment::flip::Options&>(o).probability) {}
  void apply(const float* in, float* out, const Shape& shape, exec::Stream& stream, std::vector<float>&) const override {
    if (stream.uniform() < probability) return flip(in, out, shape);
    std::copy_n(in, shape.numel(), out);
  }
};

template <class T>
std::unique_ptr<Augment> make(const core::Options& options) {
  return std::make_unique<T>(options);
}

const core::Body<MakeAugment> bodies[] = {{"augment", "affine", make<Affine>}, {"augment", "crop", make<Crop>}, {"augment", "flip", make<Flip>}};

}  // namespace augments

}  // namespace ds::data
