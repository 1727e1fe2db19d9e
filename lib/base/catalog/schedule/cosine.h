#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::cosine {

struct Options : Schedule {
  double final_factor = 0, cycle_epochs = 0, cycle_mul = 1, cycle_decay = 1;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "final_factor", .doc = "rate at the end as a share of the base rate", .min = 0, .max = 1}, final_factor);
    f.add({.name = "cycle_epochs", .doc = "length of the first cycle, after which the rate is high again; 0: one as long as the run", .min = 0,
           .unit = "epochs", .alias = "cycle-epochs"}, cycle_epochs);
    f.add({.name = "cycle_mul", .doc = "each cycle is so many times as long as the one before", .min = 1, .alias = "cycle-mul"}, cycle_mul);
    f.add({.name = "cycle_decay", .doc = "each cycle begins at this share of where the one before began", .min = 0, .max = 1, .above_min = true,
           .alias = "cycle-decay"}, cycle_decay);
  }
  void check() const override {
    Schedule::check();
    if (cycle_epochs == 0 && (cycle_mul != 1 || cycle_decay != 1))
      throw Error(Exit::kUsage, "schedule.cycle_epochs", "is 0, so there is one cycle, which cycle_mul and cycle_decay do not change", "give its length");
  }
};

inline const core::Card kCard{"schedule", "cosine", "half a cosine from the base rate down, once or again and again",
                              "Loshchilov & Hutter 2017, \"SGDR: stochastic gradient descent with warm restarts\", eq. 5"};

}  // namespace ds::catalog::schedule::cosine
