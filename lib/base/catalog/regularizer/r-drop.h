#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::r_drop {

struct Options : core::Options {
  double r_drop = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "r_drop", .doc = "each batch is computed with two draws of dropout, and this times the divergence of their predictions is added to "
                                    "their mean loss; 1 to 5 are usual, 0: off", .min = 0}, r_drop);
  }
};

inline const core::Card kCard{"regularizer", "r-drop", "two draws of dropout are to predict the same",
                              "Liang et al. 2021, \"R-Drop\", arXiv:2106.14448, eq. 4, halved"};

}  // namespace ds::catalog::regularizer::r_drop
