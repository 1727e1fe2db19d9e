#pragma once
#include "base/core/registry.h"

namespace ds::catalog::criterion::random {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"criterion", "random", "a number drawn for each channel: the baseline that every other criterion must beat",
                              "Mittal et al. 2018, \"Recovering from random pruning\", arXiv:1801.10447"};

}  // namespace ds::catalog::criterion::random
