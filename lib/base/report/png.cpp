#include <openssl/evp.h>
#include <png.h>

#include "base/core/error.h"
#include "base/report/svg.h"

namespace ds::report {

std::string png(const std::vector<std::uint8_t>& pixels, std::int64_t width, std::int64_t height, int channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  const auto fail = [&] { throw Error(Exit::kFailure, "picture", std::string("libpng: ") + image.message); };
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(bytes, '\0');
  if (!png_image_write_to_memory(&image, out.data(), &bytes, 0, pixels.data(), 0, nullptr)) fail();
  out.resize(bytes);
  return out;
}

std::string png_uri(const std::vector<std::uint8_t>& pixels, std::int64_t width, std::int64_t height, int channels) {
  const std::string bytes = png(pixels, width, height, channels);
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                       reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()))));
  return "data:image/png;base64," + text;
}

}  // namespace ds::report
