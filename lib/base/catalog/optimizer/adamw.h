#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::adamw {

struct Options : core::Options {
  double lr = 0.003, weight_decay = 0.01, eps = 1e-8;
  std::vector<double> betas = {0.9, 0.999};
  bool amsgrad = false;
  std::string state_bits = "32";

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoAdam);
    f.add({.name = "weight_decay", .doc = "shrinks weights by lr * weight_decay a step", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "betas", .doc = "decay of the running means of gradient and squared gradient", .min = 0, .max = 1, .below_max = true}, betas);
    f.add({.name = "eps", .doc = "added to the root of the squared gradient", .min = 0, .above_min = true}, eps);
    f.add({.name = "amsgrad", .doc = "divides by the largest mean of the squared gradient so far"}, amsgrad);
    add_state_bits(f, state_bits);
  }
  void check() const override { check_betas(betas); }
};

inline const core::Card kCard{"optimizer", "adamw", "Adam with weight decay apart from the gradient",
                              "Loshchilov & Hutter 2019, \"Decoupled weight decay regularization\", algorithm 2"};

}  // namespace ds::catalog::optimizer::adamw
