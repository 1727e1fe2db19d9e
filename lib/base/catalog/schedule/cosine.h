#pragma once
#include "base/core/registry.h"

namespace ds::catalog::schedule::cosine {

struct Options : core::Options {
  std::int64_t warmup_steps = 0;
  double final_factor = 0;

  void fields(core::Fields& f) override {
    f.add({.name = "warmup_steps", .doc = "steps of a linear rise at the start", .min = 0, .unit = "steps", .alias = "warmup-steps"}, warmup_steps);
    f.add({.name = "final_factor", .doc = "rate at the end as a share of the base rate", .min = 0, .max = 1}, final_factor);
  }
};

inline const core::Card kCard{"schedule", "cosine", "half a cosine from the base rate down, after a linear warm-up",
                              "Loshchilov & Hutter 2017, \"SGDR\", eq. 5 without restarts"};

}  // namespace ds::catalog::schedule::cosine
