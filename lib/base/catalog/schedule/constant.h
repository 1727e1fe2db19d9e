#pragma once
#include "base/core/registry.h"

namespace ds::catalog::schedule::constant {

struct Options : core::Options {
  std::int64_t warmup_steps = 0;

  void fields(core::Fields& f) override {
    f.add({.name = "warmup_steps", .doc = "steps of a linear rise at the start", .min = 0, .unit = "steps", .alias = "warmup-steps"}, warmup_steps);
  }
};

inline const core::Card kCard{"schedule", "constant", "the same rate throughout, after a linear warm-up", ""};

}  // namespace ds::catalog::schedule::constant
