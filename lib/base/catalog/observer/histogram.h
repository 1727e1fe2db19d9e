#pragma once
#include "base/core/registry.h"

namespace ds::catalog::observer::histogram {

struct Options : core::Options {
  std::int64_t steps = 100;

  void fields(core::Fields& f) override {
    f.add({.name = "steps", .doc = "ranges to try, evenly between 0.2 and 1 of what was seen", .min = 1, .max = 10000}, steps);
  }
};

inline const core::Card kCard{"observer", "histogram", "the range with the least squared error on the histogram of what was seen",
                              "Banner et al. 2019, arXiv:1810.05723, section 3; the error is summed over bins instead of a fitted density"};

}  // namespace ds::catalog::observer::histogram
