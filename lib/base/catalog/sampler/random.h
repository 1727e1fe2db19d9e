#pragma once
#include "base/core/registry.h"

namespace ds::catalog::sampler::random {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"sampler", "random", "independent uniform points: the baseline",
                              "Bergstra & Bengio 2012, \"Random search for hyper-parameter optimization\""};

}  // namespace ds::catalog::sampler::random
