#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::sgd {

struct Options : core::Options {
  double lr = 0.1, momentum = 0.9, weight_decay = 5e-4;
  bool nesterov = true, decoupled_decay = false;
  std::string state_bits = "32";

  void fields(core::Fields& f) override {
    add_lr(f, lr, "0.05 * sqrt(batch), with schedule cosine");
    f.add({.name = "momentum", .doc = "share of the last update that is kept", .min = 0, .max = 1, .below_max = true, .alias = "momentum"}, momentum);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the gradient", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "nesterov", .doc = "looks ahead by the momentum (no effect without momentum)"}, nesterov);
    f.add({.name = "decoupled_decay", .doc = "weight_decay shrinks weights by lr * weight_decay a step instead"}, decoupled_decay);
    add_state_bits(f, state_bits);
  }
};

inline const core::Card kCard{"optimizer", "sgd", "stochastic gradient descent with momentum",
                              "Sutskever et al. 2013, \"On the importance of initialization and momentum in deep learning\", eq. 3-4"};

}  // namespace ds::catalog::optimizer::sgd
