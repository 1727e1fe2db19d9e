#pragma once
#include "base/core/registry.h"

namespace ds::catalog::optimizer::sgd {

struct Options : core::Options {
  double lr = 0.1, momentum = 0.9, weight_decay = 5e-4;
  bool nesterov = true;

  void fields(core::Fields& f) override {
    f.add({.name = "lr", .doc = "learning rate that the schedule scales", .min = 0, .above_min = true, .alias = "lr"}, lr);
    f.add({.name = "momentum", .doc = "share of the last update that is kept", .min = 0, .max = 1, .below_max = true, .alias = "momentum"}, momentum);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the gradient", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "nesterov", .doc = "looks ahead by the momentum (no effect without momentum)"}, nesterov);
  }
};

inline const core::Card kCard{"optimizer", "sgd", "stochastic gradient descent with momentum",
                              "Sutskever et al. 2013, \"On the importance of initialization and momentum in deep learning\", eq. 3-4"};

}  // namespace ds::catalog::optimizer::sgd
