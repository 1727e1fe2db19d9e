#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::cutmix {

struct Options : core::Options {
  double cutmix = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "cutmix", .doc = "a box of each picture is another one's, of a share of its area drawn from Beta(a, a) of this a; the mixup_ "
                                    "options hold for it too; 0: off", .min = 0, .max = 1e3, .alias = "cutmix"}, cutmix);
  }
};

inline const core::Card kCard{"regularizer", "cutmix", "a box of another picture, the labels in proportion to the areas",
                              "Yun et al. 2019, \"CutMix\", arXiv:1905.04899, eq. 1-2"};

}  // namespace ds::catalog::regularizer::cutmix
