#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::step {

struct Options : Schedule {
  double decay_epochs = 30, decay_rate = 0.1;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "decay_epochs", .doc = "epochs from one fall to the next", .min = 0, .above_min = true, .unit = "epochs", .alias = "decay-epochs"},
          decay_epochs);
    f.add({.name = "decay_rate", .doc = "factor of the rate at each fall", .min = 0, .max = 1, .above_min = true, .alias = "decay-rate"}, decay_rate);
  }
};

inline const core::Card kCard{"schedule", "step", "the rate falls by a factor every so many epochs",
                              "as PyTorch's StepLR"};

}  // namespace ds::catalog::schedule::step
