#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::contrastive {

struct Options : core::Options {
  double temperature = 0.05;
  void fields(core::Fields& f) override {
    f.add({.name = "temperature", .doc = "cosines are divided by this", .min = 0, .max = 100, .above_min = true}, temperature);
  }
};

inline const core::Card kCard{"loss", "contrastive", "a vector near its partner's, or those of its class, and far from all others of the batch",
                              "van den Oord et al. 2018, \"Contrastive predictive coding\", equation 4, both ways; Khosla et al. 2020, \"Supervised "
                              "contrastive learning\", equation 2, for classes"};

}  // namespace ds::catalog::loss::contrastive
