// Of image.cpp: one decoder of each format, as two steps, so that memory is taken between them.
#pragma once
#include <memory>

#include "base/io/image.h"

namespace ds::io {

/// A picture being decoded from memory that outlives it. Its C library reports errors by longjmp, so each step is a function without
/// destructors: it returns false and leaves the reason in `error`.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Reads sizes and what a pixel has. The pixels follow as 1, 3 or 4 (CMYK, inverted) bytes each.
  virtual bool header() = 0;
  /// Decodes into `height` rows.
  virtual bool rows(std::uint8_t** rows) = 0;

  std::int64_t height = 0, width = 0, channels = 0;
  char error[256] = "";
};

/// A header with sides beyond `most_side`, or with none, ends the first step: nothing is allocated by what it says.
std::unique_ptr<Decoder> png_decoder(const std::uint8_t* data, std::size_t bytes, std::int64_t most_side);
std::unique_ptr<Decoder> jpeg_decoder(const std::uint8_t* data, std::size_t bytes);

}  // namespace ds::io
