#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::spatial_dropout {

struct Options : core::Options {
  double spatial_dropout = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "spatial_dropout", .doc = "share of whole channels that are dropped in front of convolutions wider than a pixel, but for those that read "
                                             "the picture; 0: off", .min = 0, .max = 1, .below_max = true}, spatial_dropout);
  }
};

inline const core::Card kCard{"regularizer", "spatial-dropout", "dropout of whole channels in front of convolutions",
                              "Tompson et al. 2015, \"Efficient object localization using convolutional networks\", section 3.2"};

}  // namespace ds::catalog::regularizer::spatial_dropout
