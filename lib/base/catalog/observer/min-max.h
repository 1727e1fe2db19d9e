#pragma once
#include "base/core/registry.h"

namespace ds::catalog::observer::min_max {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"observer", "min-max", "the whole range that was seen", "Jacob et al. 2018, arXiv:1712.05877, section 3.1"};

}  // namespace ds::catalog::observer::min_max
