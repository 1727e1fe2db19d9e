#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <png.h>

#include "base/report/svg.h"

using namespace ds::report;

namespace {

struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

Picture decode(const std::string& bytes, int channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()));
  CHECK(image.format == (channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY));
  Picture picture{image.width, image.height, std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
  REQUIRE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr));
  return picture;
}

std::vector<std::uint8_t> pattern(std::size_t n) {
  std::vector<std::uint8_t> pixels(n);
  for (std::size_t i = 0; i < n; ++i) pixels[i] = static_cast<std::uint8_t>(i * i * 7 + i);
  return pixels;
}

}  // namespace

TEST_CASE("png: the same pixels come back, grey and coloured, of odd and of large sizes") {
  for (const int channels : {1, 3})
    for (const auto& [width, height] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {8, 8}, {5, 3}, {28, 28}, {300, 257}}) {
      CAPTURE(channels);
      CAPTURE(width);
      const std::vector<std::uint8_t> pixels = pattern(static_cast<std::size_t>(width * height * channels));
      const Picture back = decode(png(pixels, width, height, channels), channels);
      CHECK(back.width == width);
      CHECK(back.height == height);
      CHECK(back.pixels == pixels);
    }
}

TEST_CASE("png: an URI holds the same bytes, and equal pixels give equal text") {
  const std::vector<std::uint8_t> pixels = pattern(64);
  const std::string uri = png_uri(pixels, 8, 8, 1), head = "data:image/png;base64,";
  REQUIRE(uri.substr(0, head.size()) == head);
  const std::string text = uri.substr(head.size());
  std::string bytes(text.size() / 4 * 3, '\0');
  REQUIRE(EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                          static_cast<int>(text.size())) > 0);
  for (std::size_t at = text.size(); text[--at] == '=';) bytes.pop_back();
  CHECK(bytes == png(pixels, 8, 8, 1));
  CHECK(png_uri(pixels, 8, 8, 1) == uri);
}

TEST_CASE("png: a blank picture is small") { CHECK(png(std::vector<std::uint8_t>(64 * 64), 64, 64, 1).size() < 200); }
