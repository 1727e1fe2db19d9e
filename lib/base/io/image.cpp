#include "base/io/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string_view>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/image_codecs.h"

namespace ds::io {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
}

std::unique_ptr<Decoder> decoder(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (bytes.empty()) refuse(name, "is empty, expected a JPEG or PNG picture");
  if (bytes.starts_with("\xff\xd8\xff")) return jpeg_decoder(data, bytes.size());
  if (bytes.starts_with(std::string_view("\x89PNG\r\n\x1a\n", 8))) return png_decoder(data, bytes.size(), limits.side);
  static constexpr std::array<std::pair<const char*, const char*>, 6> known = {
      {{"GIF8", "GIF"}, {"BM", "BMP"}, {"II*", "TIFF"}, {"MM", "TIFF"}, {"RIFF", "WebP"}, {"\x89HDF", "HDF5"}}};
  for (const auto& [start, format] : known)
    if (bytes.starts_with(start)) refuse(name, fmt::format("looks like {}, expected a JPEG or PNG picture", format), "convert it first");
  refuse(name, "is neither JPEG nor PNG");
}

/// CMYK as Adobe stores it (inverted) to RGB, by PIL's rule.
void cmyk_to_rgb(const std::uint8_t* from, std::uint8_t* to) {
  const int key = from[3];
  for (int c = 0; c < 3; ++c) {
    const int product = (255 - from[c]) * key + 128;
    to[c] = static_cast<std::uint8_t>(std::max(0, key - (((product >> 8) + product) >> 8)));
  }
}

std::uint8_t grey(const std::uint8_t* rgb) { return static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16); }

std::vector<std::uint8_t> converted(const std::vector<std::uint8_t>& pixels, std::int64_t has, std::int64_t wanted) {
  const std::size_t n = pixels.size() / static_cast<std::size_t>(has);
  std::vector<std::uint8_t> out(n * static_cast<std::size_t>(wanted));
  const std::uint8_t* from = pixels.data();
  std::uint8_t* to = out.data();
  for (std::size_t i = 0; i < n; ++i, from += has, to += wanted) {
    std::uint8_t rgb[3] = {from[0], from[0], from[0]};
    if (has == 3) std::copy_n(from, 3, rgb);
    if (has == 4) cmyk_to_rgb(from, rgb);
    if (wanted == 3)
      std::copy_n(rgb, 3, to);
    else
      *to = has == 1 ? *from : grey(rgb);
  }
  return out;
}

}  // namespace

Image decode_image(const void* data, std::size_t bytes, int channels, const std::string& name, const ImageLimits& limits) {
  const auto decoding = decoder({static_cast<const char*>(data), bytes}, name, limits);
  Decoder& d = *decoding;
  const auto failed = [&] { refuse(name, std::strcmp(d.error, "truncated") == 0 ? "is truncated" : fmt::format("is corrupt: {}", d.error)); };
  if (!d.header()) failed();
  if (d.width == 0 || d.height == 0) refuse(name, fmt::format("has no pixels: {}x{}", d.width, d.height));
  if (d.width > limits.side || d.height > limits.side || d.width * d.height > limits.pixels)
    refuse(name, fmt::format("is of {}x{} pixels, expected sides of at most {} and at most {} pixels", d.width, d.height, limits.side, limits.pixels));
  try {
    Image image{d.height, d.width, channels, {}};
    const std::size_t row = static_cast<std::size_t>(d.width * d.channels);
    image.pixels.resize(static_cast<std::size_t>(d.height) * row);
    std::vector<std::uint8_t*> rows(static_cast<std::size_t>(d.height));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = image.pixels.data() + i * row;
    if (!d.rows(rows.data())) failed();
    if (d.channels != channels) image.pixels = converted(image.pixels, d.channels, channels);
    return image;
  } catch (const std::bad_alloc&) {
    throw Error(Exit::kResource, name, fmt::format("no memory for {}x{} pixels", d.width, d.height));
  }
}

Image read_image(const std::string& path, int channels, const ImageLimits& limits) {
  const std::string bytes = read_file(path, limits.bytes);
  return decode_image(bytes.data(), bytes.size(), channels, path, limits);
}

}  // namespace ds::io
