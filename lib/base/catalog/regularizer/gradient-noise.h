#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::gradient_noise {

struct Options : core::Options {
  double gradient_noise = 0, gradient_noise_gamma = 0.55;
  void fields(core::Fields& f) override {
    f.add({.name = "gradient_noise", .doc = "variance of normal noise on gradients at step 0; 0.01, 0.3 and 1 are the paper's; 0: off", .min = 0},
          gradient_noise);
    f.add({.name = "gradient_noise_gamma", .doc = "the variance at step t is that by (1 + t) to this power", .min = 0}, gradient_noise_gamma);
  }
};

inline const core::Card kCard{"regularizer", "gradient-noise", "normal noise on gradients, less with each step",
                              "Neelakantan et al. 2015, arXiv:1511.06807, eq. 1"};

}  // namespace ds::catalog::regularizer::gradient_noise
