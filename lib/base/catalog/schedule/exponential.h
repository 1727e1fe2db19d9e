#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::exponential {

struct Options : Schedule {
  double decay_rate = 0.95;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "decay_rate", .doc = "factor of the rate an epoch", .min = 0, .max = 1, .above_min = true, .alias = "decay-rate"}, decay_rate);
  }
};

inline const core::Card kCard{"schedule", "exponential", "the rate falls by a factor an epoch, a little each step",
                              "as PyTorch's ExponentialLR"};

}  // namespace ds::catalog::schedule::exponential
