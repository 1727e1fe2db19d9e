#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::lion {

struct Options : core::Options {
  double lr = 0.0003, weight_decay = 0.1;
  std::vector<double> betas = {0.9, 0.99};
  std::string state_bits = "32";

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoNone);
    f.add({.name = "weight_decay", .doc = "shrinks weights by lr * weight_decay a step", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "betas", .doc = "share of the momentum in the step, decay of the momentum", .min = 0, .max = 1, .below_max = true}, betas);
    add_state_bits(f, state_bits);
  }
  void check() const override { check_betas(betas); }
};

inline const core::Card kCard{"optimizer", "lion", "the sign of a momentum: one state, steps of one size",
                              "Chen et al. 2023, \"Symbolic discovery of optimization algorithms\", algorithm 2"};

}  // namespace ds::catalog::optimizer::lion
