#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::mse {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"loss", "mse", "square of the error of standardised numbers, a mean over them",
                              ""};

}  // namespace ds::catalog::loss::mse
