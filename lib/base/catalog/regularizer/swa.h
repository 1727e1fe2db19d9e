#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::swa {

struct Options : core::Options {
  std::int64_t swa = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "swa", .doc = "from this epoch on, the mean of the weights at the ends of epochs is validated and kept, with BatchNorm's statistics "
                                 "made anew for it; 0: off", .min = 0, .max = 1e6, .unit = "epoch", .alias = "swa"}, swa);
  }
};

inline const core::Card kCard{"regularizer", "swa", "stochastic weight averaging: the mean of the weights of the last epochs",
                              "Izmailov et al. 2018, \"Averaging weights leads to wider optima\", arXiv:1803.05407, algorithm 1"};

}  // namespace ds::catalog::regularizer::swa
