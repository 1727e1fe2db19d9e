// XXH3-128 and a scan for NaN and infinity that keep up with memory: AVX2 where the processor has it, chosen at run time.
#pragma once
#include <cstddef>
#include <string>

#include "base/io/array.h"

namespace ds::io {

/// XXH3-128 of bytes that come in pieces. The value is that of the public libxxhash.
class Checksum {
 public:
  Checksum();
  void update(const void* data, std::size_t bytes);
  std::string hex() const;  ///< 32 digits, as xxhsum prints them

 private:
  alignas(64) std::byte state_[640];
};

/// True where the `bytes` at `data` (a multiple of the element, aligned to it) hold a NaN or an infinity; false for integers.
bool has_nonfinite(DType dtype, const std::byte* data, std::size_t bytes);

}  // namespace ds::io
