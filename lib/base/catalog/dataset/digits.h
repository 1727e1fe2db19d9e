#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::digits {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"dataset", "digits",
                              "1,797 handwritten digits, 8x8 grey: 1253 train, 176 val, 368 test (scripts/setup.sh fetches them)",
                              "Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits"};

}  // namespace ds::catalog::dataset::digits
