#pragma once
#include "base/core/registry.h"

namespace ds::catalog::sampler::sobol {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"sampler", "sobol", "a scrambled Sobol sequence: fills the space evenly",
                              "Owen 1998, \"Scrambling Sobol' and Niederreiter-Xing points\""};

}  // namespace ds::catalog::sampler::sobol
