#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::multi_step {

struct Options : Schedule {
  std::vector<double> milestones = {30, 60, 90};
  double decay_rate = 0.1;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "milestones", .doc = "epochs after which the rate falls, counted from the start of the run", .min = 0, .unit = "epochs",
           .alias = "decay-milestones"}, milestones);
    f.add({.name = "decay_rate", .doc = "factor of the rate at each of them", .min = 0, .max = 1, .above_min = true, .alias = "decay-rate"}, decay_rate);
  }
};

inline const core::Card kCard{"schedule", "multi-step", "the rate falls by a factor at given epochs",
                              "as PyTorch's MultiStepLR"};

}  // namespace ds::catalog::schedule::multi_step
