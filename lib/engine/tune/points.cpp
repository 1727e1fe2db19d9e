#include "engine/tune/points.h"

#include <ATen/ops/_sobol_engine_draw.h>
#include <ATen/ops/_sobol_engine_ff.h>
#include <ATen/ops/_sobol_engine_initialize_state.h>
#include <ATen/ops/_sobol_engine_scramble.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "engine/exec/random.h"

namespace ds::tune {
namespace {

constexpr std::int64_t kBits = 30;  // of ATen's table of direction numbers

/// Draws from a state: the sequence is x_0 = shift, x_k = x_{k-1} xor a direction number.
Points draw(const at::Tensor& state, at::Tensor shift, std::int64_t dimension, std::int64_t first, std::int64_t count) {
  Points points;
  points.reserve(static_cast<std::size_t>(count));
  at::Tensor last = shift;
  const auto push = [&](const double* row) { points.emplace_back(row, row + dimension); };
  if (first == 0 && count > 0) {
    const at::Tensor point = shift.to(at::kDouble).div(static_cast<double>(1 << kBits)).contiguous();
    push(point.const_data_ptr<double>());
  }
  const std::int64_t from = first == 0 ? 1 : first, rest = first + count - from;
  if (rest <= 0) return points;
  if (from > 1) at::_sobol_engine_ff_(last, from - 1, state, dimension, 0);
  const at::Tensor drawn = std::get<0>(at::_sobol_engine_draw(last, rest, state, dimension, from - 1, at::kDouble)).contiguous();
  for (std::int64_t i = 0; i < rest; ++i) push(drawn.const_data_ptr<double>() + i * dimension);
  return points;
}

at::Tensor initial_state(std::int64_t dimension) {
  at::Tensor state = at::zeros({dimension, kBits}, at::kLong);
  return at::_sobol_engine_initialize_state_(state, dimension);
}

}  // namespace

Points sobol(std::int64_t dimension, std::int64_t first, std::int64_t count) {
  return draw(initial_state(dimension), at::zeros({dimension}, at::kLong), dimension, first, count);
}

Points scrambled_sobol(std::int64_t dimension, std::int64_t first, std::int64_t count, std::uint64_t key) {
  at::Tensor state = initial_state(dimension), shift = at::empty({dimension}, at::kLong), triangle = at::zeros({dimension, kBits, kBits}, at::kLong);
  auto* shifts = shift.mutable_data_ptr<std::int64_t>();
  auto* bits = triangle.mutable_data_ptr<std::int64_t>();
  for (std::int64_t d = 0; d < dimension; ++d) {
    exec::Stream stream(key, 0, static_cast<std::uint64_t>(d));
    shifts[d] = stream.next() >> 2;
    for (std::int64_t row = 0; row < kBits; ++row) {
      const std::uint32_t word = stream.next();
      for (std::int64_t column = 0; column <= row; ++column) bits[(d * kBits + row) * kBits + column] = column == row ? 1 : (word >> column) & 1;
    }
  }
  at::_sobol_engine_scramble_(state, triangle, dimension);
  return draw(state, shift, dimension, first, count);
}

}  // namespace ds::tune
