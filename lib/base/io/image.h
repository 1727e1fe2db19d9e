// Pictures: JPEG and PNG as bytes, and brought to a model's size as PIL and torchvision do it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::io {

/// Pixels [height, width, channels], row by row; channels is 1 (grey) or 3 (red, green, blue).
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

/// What is refused before memory is taken for it.
struct ImageLimits {
  std::int64_t bytes = std::int64_t{1} << 28;   ///< of a file
  std::int64_t side = 65535;                    ///< the most that JPEG has
  std::int64_t pixels = std::int64_t{1} << 27;  ///< 134 million: no camera's picture is larger
};

/// Decodes JPEG or PNG, told apart by their first bytes, to `channels` (1 or 3). Equal to what PIL's convert('L') and convert('RGB') give:
/// palettes are looked up, alpha is left out (not blended), grey is repeated, colour becomes (19595 R + 38470 G + 7471 B + 32768) >> 16.
/// Of 16 bits a channel the upper 8 count; of gamma, colour profiles and EXIF orientation nothing does. CMYK JPEG is read as Adobe writes it.
/// Throws ds::Error(kInput, name): empty, neither of the two, no pixels, beyond a limit, truncated, corrupt; kResource without memory.
Image decode_image(const void* data, std::size_t bytes, int channels, const std::string& name, const ImageLimits& limits = {});
/// The same from a file.
Image read_image(const std::string& path, int channels, const ImageLimits& limits = {});

enum class Filter { kBilinear, kBicubic };

/// Resized with antialiasing, byte for byte as PIL's Image.resize: a triangle (or Keys's cubic, a = -0.5) as wide as the shrinking asks for,
/// along rows and along columns in Pillow 13's order, in fixed point with 22 bits. Sides of at least 1.
Image resize(const Image& image, std::int64_t height, std::int64_t width, Filter filter = Filter::kBilinear);
/// The middle [height, width] of a picture that is at least so large; halves are rounded to even, as torchvision's CenterCrop does.
Image center_crop(const Image& image, std::int64_t height, std::int64_t width);

/// How a picture of any size is brought to that of a model.
struct Fit {
  std::int64_t channels = 0, height = 0, width = 0;  ///< what a model takes
  std::int64_t resize_height = 0, resize_width = 0;  ///< both 0: by the shorter side
  std::int64_t shorter = 0;                          ///< length of the shorter side before the crop; 0: as small as covers the model's size
  Filter filter = Filter::kBilinear;
};
/// From a checkpoint's preprocessing: "shape" [C,H,W] and, for models from elsewhere, "resize" (length of the shorter side, or [H,W]),
/// "crop" (true: the middle, false: the whole picture is stretched to the shape) and "interpolation" ("bilinear" or "bicubic").
/// Throws ds::Error(kInput, where) for other values, channels other than 1 and 3, or a resize that is smaller than the shape.
Fit fit_of(const nlohmann::json& preprocessing, const std::string& where = "preprocessing");
/// Resized and cropped: [fit.height, fit.width, channels of the picture]. A picture of that size stays as it is unless "resize" says else.
Image fit_image(const Image& image, const Fit& fit);

}  // namespace ds::io
