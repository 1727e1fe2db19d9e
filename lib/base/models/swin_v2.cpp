#include "base/models/swin.h"

namespace ds::models::swin_v2 {

template <int features, int first_heads>
struct Sized : swin::Options {
  Sized() { dim = features, heads = first_heads, window_size = 8; }
};

template <swin::Plan plan>
graph::Graph build(const core::Options& options) {
  return swin::make(static_cast<const swin::Options&>(options), plan);
}

constexpr const char* kSource = "Liu et al. 2022, arXiv:2111.09883, section 3";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<96, 3>>("swin_v2_t", "swin_t with cosine attention and norms behind: 28.4 million parameters for 1,000 classes", kSource,
                                     build<swin::Plan{{2, 2, 6, 2}, 0.2, true}>, Usual{256}),
    Architecture::make<Sized<96, 3>>("swin_v2_s", "swin_s with cosine attention and norms behind: 49.7 million parameters for 1,000 classes", kSource,
                                     build<swin::Plan{{2, 2, 18, 2}, 0.3, true}>, Usual{256}),
    Architecture::make<Sized<128, 4>>("swin_v2_b", "swin_b with cosine attention and norms behind: 87.9 million parameters for 1,000 classes", kSource,
                                      build<swin::Plan{{2, 2, 18, 2}, 0.5, true}>, Usual{256}),
};

}  // namespace ds::models::swin_v2
