#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::adam {

struct Options : core::Options {
  double lr = 0.001, weight_decay = 0, eps = 1e-8;
  std::vector<double> betas = {0.9, 0.999};
  bool amsgrad = false;
  std::string state_bits = "32";

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoAdam);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the gradient; 0.01 is usual", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "betas", .doc = "decay of the running means of gradient and squared gradient", .min = 0, .max = 1, .below_max = true}, betas);
    f.add({.name = "eps", .doc = "added to the root of the squared gradient", .min = 0, .above_min = true}, eps);
    f.add({.name = "amsgrad", .doc = "divides by the largest mean of the squared gradient so far"}, amsgrad);
    add_state_bits(f, state_bits);
  }
  void check() const override { check_betas(betas); }
};

inline const core::Card kCard{"optimizer", "adam", "running means of gradient and squared gradient",
                              "Kingma & Ba 2015, \"Adam: a method for stochastic optimization\", algorithm 1"};

}  // namespace ds::catalog::optimizer::adam
