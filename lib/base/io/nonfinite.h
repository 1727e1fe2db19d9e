// A scan for NaN and infinity that keeps up with memory.
#pragma once
#include <cstddef>

#include "base/io/array.h"

namespace ds::io {

/// True where the `bytes` at `data` (a multiple of the element, aligned to it) hold a NaN or an infinity; false for integers.
bool has_nonfinite(DType dtype, const std::byte* data, std::size_t bytes);

}  // namespace ds::io
