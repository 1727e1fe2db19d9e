#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::huber {

struct Options : core::Options {
  double delta = 1;
  void fields(core::Fields& f) override {
    f.add({.name = "delta", .doc = "standard deviations at which an error is large", .min = 0, .above_min = true}, delta);
  }
};

inline const core::Card kCard{"loss", "huber", "square of small errors, size of large ones, so that outliers pull less",
                              "Huber 1964, \"Robust estimation of a location parameter\", section 4"};

}  // namespace ds::catalog::loss::huber
