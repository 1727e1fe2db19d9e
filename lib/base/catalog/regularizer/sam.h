#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::sam {

struct Options : core::Options {
  double sam = 0;
  bool sam_adaptive = false;
  void fields(core::Fields& f) override {
    f.add({.name = "sam", .doc = "gradients are taken where the loss is highest this far away, which doubles the work of a step; 0.05 is usual "
                                 "(adaptive: 0.5), 0: off", .min = 0, .alias = "sam"}, sam);
    f.add({.name = "sam_adaptive", .doc = "distances are shares of each weight"}, sam_adaptive);
  }
};

inline const core::Card kCard{"regularizer", "sam", "sharpness-aware minimization: a flat minimum, with any optimizer",
                              "Foret et al. 2021, arXiv:2010.01412, algorithm 1; adaptive: Kwon et al. 2021, arXiv:2102.11600, eq. 2"};

}  // namespace ds::catalog::regularizer::sam
