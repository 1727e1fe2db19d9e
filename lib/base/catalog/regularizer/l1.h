#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::l1 {

struct Options : core::Options {
  double l1 = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "l1", .doc = "adds this times the sum of |w| over the weights to the loss; with l2 an elastic net; 0: off", .min = 0}, l1);
  }
};

inline const core::Card kCard{"regularizer", "l1", "penalty on the absolute values of weights",
                              "Tibshirani 1996, \"Regression shrinkage and selection via the lasso\", eq. 1; with l2: Zou & Hastie 2005, eq. 3"};

}  // namespace ds::catalog::regularizer::l1
