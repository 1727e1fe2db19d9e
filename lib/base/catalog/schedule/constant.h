#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::constant {

struct Options : Schedule {
  void fields(core::Fields& f) override { warmup_fields(f); }
};

inline const core::Card kCard{"schedule", "constant", "the same rate throughout, after a linear warm-up", ""};

}  // namespace ds::catalog::schedule::constant
