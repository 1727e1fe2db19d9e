// Float numbers in another float dtype.
#pragma once
#include "base/io/array.h"

namespace ds::io {

/// A copy of `array` in `dtype`, both float: each element rounded to the nearest, halves to even (float64 to 16 bits by way of float32), to
/// infinity beyond the range. `largest` grows to the largest absolute difference, where infinities that were none before count as such.
/// Pages of `array` that lie in a file's mapping are given back on the way, so that both are never whole in memory: use it on what is read once.
/// Throws ds::Error(kFailure) for a dtype that is not float, kResource where memory is short.
Array cast(const Array& array, DType dtype, double& largest);

}  // namespace ds::io
