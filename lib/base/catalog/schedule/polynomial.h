#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::polynomial {

struct Options : Schedule {
  double power = 1, final_factor = 0;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "power", .doc = "of the share of steps that is left", .min = 0, .above_min = true}, power);
    f.add({.name = "final_factor", .doc = "rate at the end as a share of the base rate", .min = 0, .max = 1}, final_factor);
  }
};

inline const core::Card kCard{"schedule", "polynomial", "a power of the share of steps that is left; with power 1 a line",
                              "as PyTorch's PolynomialLR"};

}  // namespace ds::catalog::schedule::polynomial
