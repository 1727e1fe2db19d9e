#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::wsd {

struct Options : Schedule {
  double decay_share = 0.2, final_factor = 0;
  std::string decay_shape = "1-sqrt";

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "decay_share", .doc = "share of the steps after the warm-up in which the rate falls", .min = 0, .max = 1}, decay_share);
    f.add({.name = "decay_shape", .doc = "how it falls", .choices = {"1-sqrt", "linear", "cosine"}}, decay_shape);
    f.add({.name = "final_factor", .doc = "rate at the end as a share of the base rate", .min = 0, .max = 1}, final_factor);
  }
};

inline const core::Card kCard{"schedule", "wsd", "warm-up, a stable rate, and a fall over the last steps",
                              "Hu et al. 2024, \"MiniCPM\", section 4.2; Haegele et al. 2024, section 3 (1-sqrt)"};

}  // namespace ds::catalog::schedule::wsd
