// The mask of attention in shifted windows (Liu et al. 2021, "Swin Transformer", arXiv:2103.14030, section 3.2).
#pragma once
#include <cstdint>
#include <vector>

namespace ds::graph {

/// After a cyclic shift by -shift[i] an image of size[i] a side, cut into windows, has windows with parts that were apart. For each window and each
/// pair of its pixels in row-major order, [windows, pixels, pixels]: 0, or `value` where the two are of different parts. Sides: {rows, columns}.
std::vector<float> window_mask(const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& window, const std::vector<std::int64_t>& shift,
                               double value);

}  // namespace ds::graph
