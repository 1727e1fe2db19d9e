#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::spectral_norm {

struct Options : core::Options {
  double spectral_norm = 0;
  std::int64_t spectral_norm_iterations = 1;
  void fields(core::Fields& f) override {
    f.add({.name = "spectral_norm", .doc = "largest singular value of each layer's weights: after a step they are scaled down to it, so that the net stays a "
                                           "plain one; 1 is usual, 0: off", .min = 0}, spectral_norm);
    f.add({.name = "spectral_norm_iterations", .doc = "power iterations a step", .min = 1, .max = 100}, spectral_norm_iterations);
  }
};

inline const core::Card kCard{"regularizer", "spectral-norm", "a bound on the largest singular value of weights, held after each step",
                              "Miyato et al. 2018, arXiv:1802.05957, algorithm 1; as a bound: Gouk et al. 2021, arXiv:1804.04368, eq. 8"};

}  // namespace ds::catalog::regularizer::spectral_norm
