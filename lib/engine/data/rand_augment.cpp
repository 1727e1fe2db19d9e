#include "base/catalog/augment/rand-augment.h"

#include <algorithm>
#include <cmath>

#include "engine/data/picture_ops.h"

namespace ds::data::rand_augment {

using Options = catalog::augment::rand_augment::Options;

constexpr double kLevels = 30;

struct RandAugment : Augment {
  Options options;
  explicit RandAugment(const Options& o) : options(o) {}

  /// The change of that number, of strength `part` in 0..1 to the side of `sign`.
  static void change(std::uint64_t which, double part, double sign, const float* in, float* out, const Shape& shape, std::vector<float>& scratch) {
    const double light = 1 + sign * 0.9 * part;
    switch (which) {
      case 0: std::copy_n(in, shape.numel(), out); break;
      case 1: affine(in, out, shape, {.shear_right = sign * 0.3 * part}, scratch); break;
      case 2: affine(in, out, shape, {.shear_down = sign * 0.3 * part}, scratch); break;
      case 3: affine(in, out, shape, {.right = std::trunc(sign * part * 150.0 / 331 * static_cast<double>(shape.width))}, scratch); break;
      case 4: affine(in, out, shape, {.down = std::trunc(sign * part * 150.0 / 331 * static_cast<double>(shape.height))}, scratch); break;
      case 5: affine(in, out, shape, {.degrees = sign * 30 * part}, scratch); break;
      case 6: brightness(in, out, shape, light); break;
      case 7: saturation(in, out, shape, light); break;
      case 8: contrast(in, out, shape, light); break;
      case 9: sharpness(in, out, shape, light); break;
      case 10: posterize(in, out, shape, 8 - static_cast<int>(std::lround(4 * part))); break;
      case 11: solarize(in, out, shape, 255 * (1 - part)); break;
      case 12: autocontrast(in, out, shape); break;
      default: equalize(in, out, shape); break;
    }
  }

  void apply(const float* in, float* out, const Shape& shape, exec::Stream& stream, std::vector<float>& scratch) const override {
    const auto to_bytes = static_cast<float>(255 / shape.white), back = static_cast<float>(shape.white / 255);
    std::vector<float> now(in, in + shape.numel());
    if (options.ops > 0 && shape.white != 255)
      for (float& pixel : now) pixel *= to_bytes;
    for (std::int64_t i = 0; i < options.ops; ++i) {
      const std::uint64_t which = stream.below(14);
      const double sign = stream.uniform() < 0.5 ? -1 : 1;
      change(which, options.magnitude / kLevels, sign, now.data(), out, shape, scratch);
      now.assign(out, out + shape.numel());
    }
    std::copy(now.begin(), now.end(), out);
    if (options.ops > 0 && shape.white != 255) std::transform(out, out + shape.numel(), out, [back](float pixel) { return pixel * back; });
  }
};

std::unique_ptr<Augment> make(const core::Options& options) { return std::make_unique<RandAugment>(static_cast<const Options&>(options)); }
const core::Body<MakeAugment> body{"augment", "rand-augment", make};

}  // namespace ds::data::rand_augment
