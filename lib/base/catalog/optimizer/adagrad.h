#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::adagrad {

struct Options : core::Options {
  double lr = 0.01, lr_decay = 0, weight_decay = 0, initial_sum = 0, eps = 1e-10;

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoNone);
    f.add({.name = "lr_decay", .doc = "the rate of step t (from 0) is divided by 1 + t * lr_decay", .min = 0}, lr_decay);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the gradient; 0.01 is usual", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "initial_sum", .doc = "what the sum of squared gradients begins with", .min = 0}, initial_sum);
    f.add({.name = "eps", .doc = "added to the root of the sum", .min = 0, .above_min = true}, eps);
  }
};

inline const core::Card kCard{"optimizer", "adagrad", "gradient by the root of the sum of its squares",
                              "Duchi et al. 2011, \"Adaptive subgradient methods\", figure 1, diagonal form"};

}  // namespace ds::catalog::optimizer::adagrad
