#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::l1 {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"loss", "l1", "error of standardised numbers without its sign, a mean over them",
                              ""};

}  // namespace ds::catalog::loss::l1
