// Any bytes as a picture, JPEG or PNG: decoded within its limits and brought to a model's size, or refused as bad input. The checksums of PNG's
// chunks are made right first, so that changed bytes reach what reads them.
#include "base/io/image.h"

#include <zlib.h>

#include "fuzz.h"

namespace {

std::uint32_t big_endian(const std::byte* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

void fix_sums(std::byte* data, std::size_t size) {
  constexpr std::size_t kSignature = 8, kFrame = 12;  // length, type, sum
  for (std::size_t at = kSignature; at + kFrame <= size;) {
    const std::size_t length = big_endian(data + at);
    if (length > size - at - kFrame) return;
    const auto sum = static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(data + at + 4), static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) data[at + 8 + length + i] = static_cast<std::byte>(sum >> (8 * (3 - i)));
    at += kFrame + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return ds_fuzz::refused_or_done(data, size, {ds::Exit::kInput}, [](const ds::io::Bytes& bytes) {
    if (bytes.size > 8 && bytes.data[0] == std::byte{0x89}) fix_sums(bytes.data, bytes.size);
    const ds::io::ImageLimits limits{.bytes = 1 << 20, .side = 4096, .pixels = 1 << 16};
    for (const int channels : {1, 3}) {
      const ds::io::Image image = ds::io::decode_image(bytes.data, bytes.size, channels, "input", limits);
      if (image.height * image.width > limits.pixels || image.pixels.size() != std::size_t(image.height * image.width * channels)) std::abort();
      const ds::io::Image small = ds::io::fit_image(image, {.channels = channels, .height = 5, .width = 3, .filter = ds::io::Filter::kBicubic});
      if (small.height != 5 || small.width != 3) std::abort();
    }
  });
}
