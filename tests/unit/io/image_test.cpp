// Pictures against what PIL and torchvision make of them (tests/golden/make_images.py), and broken ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/image.h"

using namespace ds::io;
using Json = nlohmann::json;

namespace {

const std::string kFolder = DS_SOURCE_DIR "/tests/golden/images/";

const Json& expected() {
  static const Json json = Json::parse(read_file(kFolder + "expected.json"));
  return json;
}

std::vector<std::uint8_t> bytes_of(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// The largest difference of two pictures of equal size, 256 for others.
int difference(const Image& image, const std::vector<std::uint8_t>& wanted) {
  if (image.pixels.size() != wanted.size()) return 256;
  int most = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) most = std::max(most, std::abs(int(image.pixels[i]) - int(wanted[i])));
  return most;
}

std::string failure(const std::string& bytes, int channels = 3, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes.data(), bytes.size(), channels, "x.png", limits);
  } catch (const ds::Error& error) {
    return std::to_string(int(error.code())) + "|" + error.what();
  }
  return "";
}

std::string fit_failure(const Json& document) {
  try {
    fit_of(document, "net.h5");
  } catch (const ds::Error& error) {
    return std::to_string(int(error.code())) + "|" + error.what();
  }
  return "";
}

/// Big-endian, as PNG and JPEG have it.
std::string with_number(std::string bytes, std::size_t at, std::uint32_t value, int size) {
  std::string number;
  for (int i = 0; i < size; ++i) number += char(value >> 8 * (size - 1 - i) & 255);
  return bytes.replace(at, number.size(), number);
}

/// With the checksum of the first chunk, the header, made right.
std::string with_header_sum(std::string bytes) {
  std::uint32_t sum = 0xffffffff;
  for (std::size_t i = 12; i < 29; ++i) {
    sum ^= static_cast<unsigned char>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return with_number(bytes, 29, ~sum, 4);
}

Image gradient(std::int64_t height, std::int64_t width) {
  Image image{height, width, 1, {}};
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) image.pixels.push_back(static_cast<std::uint8_t>((x * 7 + y * 13) % 256));
  return image;
}

}  // namespace

TEST_CASE("image: every kind of PNG and JPEG equals PIL's, in grey and in colour") {
  const Json& pictures = expected()["pictures"];
  CHECK(pictures.size() >= 28);
  for (const auto& [name, wanted] : pictures.items()) {
    CAPTURE(name);
    for (const int channels : {1, 3}) {
      const Image image = read_image(kFolder + name, channels);
      CHECK(image.height == wanted["height"]);
      CHECK(image.width == wanted["width"]);
      CHECK(image.channels == channels);
      CHECK(difference(image, bytes_of(wanted[channels == 1 ? "L" : "RGB"])) == 0);
    }
  }
}

TEST_CASE("image: resizing equals PIL's, larger and smaller, by both filters") {
  int seen = 0;
  for (const Json& wanted : expected()["resized"]) {
    const Filter filter = wanted["filter"] == "bicubic" ? Filter::kBicubic : Filter::kBilinear;
    const Image source = read_image(kFolder + wanted["source"].get<std::string>(), 3);
    const Image image = resize(source, wanted["height"], wanted["width"], filter);
    CAPTURE(image.height);
    CAPTURE(image.width);
    CHECK(difference(image, bytes_of(wanted["pixels"])) == 0);
    ++seen;
  }
  CHECK(seen == 12);
}

TEST_CASE("image: the size of a model by resize and crop equals torchvision's transforms") {
  int seen = 0;
  for (const Json& wanted : expected()["fitted"]) {
    CAPTURE(wanted["preprocessing"].dump());
    const Image source = read_image(kFolder + wanted["source"].get<std::string>(), 3);
    CHECK(difference(fit_image(source, fit_of(wanted["preprocessing"])), bytes_of(wanted["pixels"])) == 0);
    ++seen;
  }
  CHECK(seen == 14);
}

TEST_CASE("image: resizing by hand") {
  // Two pixels to one: the mean, halves upwards. One to three: itself.
  CHECK(resize({1, 2, 1, {10, 21}}, 1, 1).pixels == std::vector<std::uint8_t>{16});
  CHECK(resize({1, 1, 3, {1, 2, 3}}, 2, 1).pixels == std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3});
  // Four to two: weights 1/8 3/8 3/8 1/8 about 1, less what is outside: (3 a + 3 b + c) / 7.
  CHECK(resize({4, 1, 1, {70, 140, 35, 0}}, 2, 1).pixels == std::vector<std::uint8_t>{95, 35});
  const Image image = gradient(9, 12);
  CHECK(resize(image, 9, 12).pixels == image.pixels);
  CHECK(resize(image, 9, 12, Filter::kBicubic).pixels == image.pixels);
}

TEST_CASE("image: the middle, with halves to even") {
  const Image row{1, 6, 1, {0, 1, 2, 3, 4, 5}};
  CHECK(center_crop(row, 1, 4).pixels == std::vector<std::uint8_t>{1, 2, 3, 4});
  CHECK(center_crop(row, 1, 5).pixels == std::vector<std::uint8_t>{0, 1, 2, 3, 4});  // 0.5 -> 0
  CHECK(center_crop(row, 1, 3).pixels == std::vector<std::uint8_t>{2, 3, 4});        // 1.5 -> 2
  CHECK(center_crop(row, 1, 6).pixels == row.pixels);
}

TEST_CASE("image: a picture of the model's size stays, and one that is long and narrow costs no more than what is kept of it") {
  const Image image = gradient(8, 8);
  CHECK(fit_image(image, fit_of({{"shape", {1, 8, 8}}})).pixels == image.pixels);
  CHECK(fit_image(gradient(8, 20), fit_of({{"shape", {1, 8, 8}}})).pixels == center_crop(gradient(8, 20), 8, 8).pixels);
  // Whole, it would be of 65535 * 224 * 224 = 3.3e9 pixels.
  const Image strip = fit_image(gradient(1, 65535), fit_of({{"shape", {1, 224, 224}}}));
  CHECK(strip.pixels.size() == 224 * 224);
  CHECK(strip.pixels[0] == strip.pixels[223 * 224]);  // a column has one value
}

TEST_CASE("image: what a preprocessing cannot say") {
  const auto with = [](const char* key, const Json& value) {
    Json document = {{"shape", {3, 8, 6}}};
    document[key] = value;
    return fit_failure(document);
  };
  CHECK(with("resize", 8) == "");
  CHECK(with("resize", 7) == "3|net.h5: 'resize' is 7, expected at least 8 as the shape has");
  CHECK(with("resize", {8, 5}) == "3|net.h5: 'resize' is [8,5], expected at least [8,6] as the shape has");
  CHECK(with("resize", {8}) == "3|net.h5: 'resize' is [8], expected the length of the shorter side or [height, width]");
  CHECK(with("resize", 1e9) == "3|net.h5: 'resize' is 1000000000.0, expected the length of the shorter side or [height, width]");
  CHECK(with("crop", 8) == "3|net.h5: 'crop' is 8, expected true or false");
  CHECK(with("interpolation", "lanczos") == "3|net.h5: 'interpolation' is \"lanczos\", expected \"bilinear\" or \"bicubic\"");
  CHECK(with("shape", {2, 8, 8}) == "3|net.h5: 'shape' has 2 channels, expected 1 or 3 as pictures have");
  CHECK(with("shape", {3, 0, 8}) == "3|net.h5: 'shape' is [3,0,8], expected [channels, height, width]");
  CHECK(fit_failure({{"shape", {3, 8, 6}}, {"crop", false}, {"resize", 9}}) ==
        "3|net.h5: 'resize' is 9, expected [8,6] where nothing is cropped");
  CHECK(fit_failure("image") == "3|net.h5: is string, expected a map");
}

TEST_CASE("image: sizes of zero and enormous ones are refused before memory is taken") {
  const std::string png = read_file(kFolder + "rgb8.png"), jpeg = read_file(kFolder + "420.jpg");
  CHECK(failure(with_header_sum(with_number(png, 16, 0, 4))) == "3|x.png: has no pixels: 0x7");
  CHECK(failure(with_header_sum(with_number(png, 20, 0, 4))) == "3|x.png: has no pixels: 11x0");
  CHECK(failure(with_header_sum(with_number(png, 16, 0x7fffffff, 4))) ==
        "3|x.png: is of 2147483647x7 pixels, expected sides of at most 65535 and at most 134217728 pixels");
  CHECK(failure(with_header_sum(with_number(with_number(png, 16, 60000, 4), 20, 60000, 4))) ==
        "3|x.png: is of 60000x60000 pixels, expected sides of at most 65535 and at most 134217728 pixels");
  // Within the limits but not there: the rows end.
  CHECK(failure(with_header_sum(with_number(png, 20, 5000, 4))).starts_with("3|x.png: is corrupt: "));
  const std::size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  CHECK(failure(with_number(jpeg, frame + 7, 0, 2)).starts_with("3|x.png: is corrupt: Empty JPEG image"));
  CHECK(failure(with_number(jpeg, frame + 5, 0, 2)).starts_with("3|x.png: is corrupt: Empty JPEG image"));
  CHECK(failure(with_number(with_number(jpeg, frame + 7, 65500, 2), frame + 5, 65500, 2)) ==
        "3|x.png: is of 65500x65500 pixels, expected sides of at most 65535 and at most 134217728 pixels");
  CHECK(failure(png, 3, {.side = 10}) == "3|x.png: is of 11x7 pixels, expected sides of at most 10 and at most 134217728 pixels");
  CHECK(failure(jpeg, 3, {.pixels = 566}) == "3|x.png: is of 27x21 pixels, expected sides of at most 65535 and at most 566 pixels");
  CHECK(failure(jpeg, 3, {.pixels = 567}) == "");
  CHECK_THROWS_AS(read_image(kFolder + "420.jpg", 3, {.bytes = 100}), ds::Error);
}

TEST_CASE("image: what is no picture") {
  CHECK(failure("") == "3|x.png: is empty, expected a JPEG or PNG picture");
  CHECK(failure("hello") == "3|x.png: is neither JPEG nor PNG");
  CHECK(failure("GIF89a.......") == "3|x.png: looks like GIF, expected a JPEG or PNG picture; convert it first");
  CHECK(failure("\x89HDF\r\n\x1a\n") == "3|x.png: looks like HDF5, expected a JPEG or PNG picture; convert it first");
  CHECK(failure(std::string("\x89PNG\r\n\x1a\n", 8)) == "3|x.png: is truncated");
  CHECK(failure("\xff\xd8\xff") == "3|x.png: is truncated");
  CHECK_THROWS_WITH_AS(read_image(kFolder + "none.png", 3), (kFolder + "none.png: no such file").c_str(), ds::Error);
  CHECK_THROWS_AS(read_image(kFolder, 3), ds::Error);
}

TEST_CASE("image: cut off anywhere, every picture is told to be truncated") {
  for (const auto& [name, wanted] : expected()["pictures"].items()) {
    const std::string whole = read_file(kFolder + name);
    const std::size_t step = whole.size() > 2000 ? 97 : 1;
    for (std::size_t size = 8; size < whole.size(); size += step) {
      // Its own memory of exactly that size: a sanitizer sees each byte too far.
      const std::string part(whole.begin(), whole.begin() + std::ptrdiff_t(size));
      const std::string said = failure(part);
      CAPTURE(name);
      CAPTURE(size);
      CHECK(said == "3|x.png: is truncated");
    }
  }
}

TEST_CASE("image: with any byte changed, a picture is read or refused, and never more than its size") {
  int refused = 0, read = 0;
  for (const char* name : {"palette_transparent.png", "interlaced1.png", "rgba16.png", "grey.jpg", "progressive.jpg", "cmyk.jpg"}) {
    const std::string whole = read_file(kFolder + name);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        std::string bytes = whole;
        bytes[at] = char(bytes[at] ^ mask);
        try {
          const Image image = decode_image(bytes.data(), bytes.size(), 3, "x.png", {.pixels = 1 << 20});
          REQUIRE(std::int64_t(image.pixels.size()) == image.height * image.width * 3);
          ++read;
        } catch (const ds::Error& error) {
          REQUIRE(error.code() == ds::Exit::kInput);
          REQUIRE(error.where() == "x.png");
          ++refused;
        }
      }
    }
  }
  CHECK(refused > 1000);
  CHECK(read > 100);  // entropy-coded data has no checksum in JPEG
}
