// Points of the unit cube from keyed streams: no generator with a state of its own.
#pragma once
#include <cstdint>
#include <vector>

namespace ds::tune {

/// Rows of a matrix.
using Points = std::vector<std::vector<double>>;

/// Points first .. first + count - 1 of the Sobol sequence in [0, 1)^dimension, of 30 bits.
Points sobol(std::int64_t dimension, std::int64_t first, std::int64_t count);
/// The same, scrambled by a random lower triangular matrix and a random shift a dimension, which are functions of the key (Matousek 1998).
Points scrambled_sobol(std::int64_t dimension, std::int64_t first, std::int64_t count, std::uint64_t key);

}  // namespace ds::tune
