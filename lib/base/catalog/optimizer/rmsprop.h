#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::rmsprop {

struct Options : core::Options {
  double lr = 0.001, alpha = 0.99, momentum = 0, weight_decay = 0, eps = 1e-8;
  bool centered = false, decoupled_decay = false;

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoNone);
    f.add({.name = "alpha", .doc = "decay of the running mean of the squared gradient", .min = 0, .max = 1, .below_max = true}, alpha);
    f.add({.name = "momentum", .doc = "share of the last update that is kept", .min = 0, .max = 1, .below_max = true, .alias = "momentum"}, momentum);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the gradient; 0.01 is usual", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "eps", .doc = "added to the root of the squared gradient", .min = 0, .above_min = true}, eps);
    f.add({.name = "centered", .doc = "divides by the deviation of the gradient: its mean is kept too"}, centered);
    f.add({.name = "decoupled_decay", .doc = "weight_decay shrinks weights by lr * weight_decay a step instead"}, decoupled_decay);
  }
};

inline const core::Card kCard{"optimizer", "rmsprop", "gradient by the root of its running mean square",
                              "Graves 2013, \"Generating sequences with recurrent neural networks\", eq. 38-41"};

}  // namespace ds::catalog::optimizer::rmsprop
