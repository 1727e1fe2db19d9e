#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::mnist5k {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"dataset", "mnist5k",
                              "5,000 handwritten digits of MNIST, 28x28 grey: 3500 train, 500 val, 1000 test (scripts/setup.sh fetches them)",
                              "LeCun et al. 1998, \"Gradient-based learning applied to document recognition\""};

}  // namespace ds::catalog::dataset::mnist5k
