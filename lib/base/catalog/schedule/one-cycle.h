#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::one_cycle {

struct Options : Schedule {
  double pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;

  bool rises_itself() const override { return true; }
  void fields(core::Fields& f) override {
    f.add({.name = "warmup_steps", .doc = "steps of the rise; 0: pct_start says", .min = 0, .unit = "steps", .alias = "warmup-steps"}, warmup_steps);
    f.add({.name = "warmup_epochs", .doc = "the same in epochs", .min = 0, .unit = "epochs", .alias = "warmup-epochs"}, warmup_epochs);
    f.add({.name = "pct_start", .doc = "share of all steps in which the rate rises", .min = 0, .max = 1, .below_max = true}, pct_start);
    f.add({.name = "div_factor", .doc = "the first rate is the base rate by this", .min = 1}, div_factor);
    f.add({.name = "final_div_factor", .doc = "the last rate is the first by this", .min = 1}, final_div_factor);
  }
};

inline const core::Card kCard{"schedule", "one-cycle", "a cosine up to the base rate and one down to almost nothing",
                              "Smith & Topin 2018, \"Super-convergence\", section 3, in the two-phase form of PyTorch's OneCycleLR"};

}  // namespace ds::catalog::schedule::one_cycle
