// Changes of a training image that keep its class. Kind "augment": a card with options, a body that makes an Augment.
// Pixels are float32 planes [C, H, W] in the values of the file (0..white), before preprocessing; what comes from outside the image is 0.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/core/registry.h"
#include "engine/exec/random.h"

namespace ds::data {

struct Shape {
  std::int64_t channels, height, width;
  double white = 255;  ///< the value of the brightest pixel
  std::int64_t numel() const { return channels * height * width; }
};

class Augment {
 public:
  virtual ~Augment();
  /// Draws from `stream`, and from nothing else. @param in, out [C, H, W], not the same. @param scratch of the calling thread, any size
  virtual void apply(const float* in, float* out, const Shape& shape, exec::Stream& stream, std::vector<float>& scratch) const = 0;
};

using MakeAugment = std::unique_ptr<Augment>(const core::Options&);

/// An augmentation, "flip", with options "rand-augment:ops=2:magnitude=9", or in their order "rand-augment:2:9".
/// Throws ds::Error(kUsage, "data.augment") for an unknown name or option, or a value that it does not take.
std::unique_ptr<Augment> make_augment(const std::string& text);

/// A rotation about the centre (positive: clockwise as seen), then a shift of the content to the right and down, in pixels.
struct AffineMap {
  double degrees = 0, right = 0, down = 0, scale = 1;
  double shear_right = 0, shear_down = 0;  ///< pixels by which a row moves for each row below the centre, a column for each to the right; one of the two
};
/// Bilinear, with zeros outside.
void affine(const float* in, float* out, const Shape& shape, const AffineMap& map, std::vector<float>& scratch);
/// out[y, x] = in[y + top, x + left], or 0 outside.
void crop(const float* in, float* out, const Shape& shape, std::int64_t top, std::int64_t left);
/// Left and right exchanged.
void flip(const float* in, float* out, const Shape& shape);

}  // namespace ds::data
