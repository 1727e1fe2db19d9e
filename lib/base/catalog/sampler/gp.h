#pragma once
#include "base/core/registry.h"

namespace ds::catalog::sampler::gp {

struct Options : core::Options {
  std::int64_t initial = 0, candidates = 2048, starts = 10;
  std::string warp = "half-rank";

  void fields(core::Fields& f) override {
    f.add({.name = "initial",
           .doc = "points of the Sobol sequence before the model is asked; 0: min(d + 2, max(3, trials / 5))",
           .min = 0,
           .max = 1e4,
           .unit = "trials"},
          initial);
    f.add({.name = "warp",
           .doc = "of the results: none, or those below the median by rank, so that bad ones do not bend the model",
           .choices = {"none", "half-rank"}},
          warp);
    f.add({.name = "candidates", .doc = "Sobol points at which the expected improvement is computed", .min = 16, .max = 1 << 20, .hidden = true}, candidates);
    f.add(
        {.name = "starts", .doc = "climbs to the largest expected improvement, from the best of these points", .min = 1, .max = 1000, .hidden = true},
        starts);
  }
};

inline const core::Card kCard{"sampler", "gp", "Gaussian process with Matern 5/2 kernel, a length for each parameter, log expected improvement",
                              "Snoek et al. 2012, arXiv:1206.2944; Ament et al. 2023, arXiv:2310.20708, eq. 9; Hvarfner et al. 2024, arXiv:2402.02229"};

}  // namespace ds::catalog::sampler::gp
