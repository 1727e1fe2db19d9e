#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::lamb {

struct Options : core::Options {
  double lr = 0.005, weight_decay = 0.01, eps = 1e-6;
  std::vector<double> betas = {0.9, 0.999};
  bool always_adapt = false;

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoAdam);
    f.add({.name = "weight_decay", .doc = "times the weight, added to the step before it is scaled", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "betas", .doc = "decay of the running means of gradient and squared gradient", .min = 0, .max = 1, .below_max = true}, betas);
    f.add({.name = "eps", .doc = "added to the root of the squared gradient", .min = 0, .above_min = true}, eps);
    f.add({.name = "always_adapt", .doc = "steps of norms and biases are scaled by their norm too"}, always_adapt);
  }
  void check() const override { check_betas(betas); }
};

inline const core::Card kCard{"optimizer", "lamb", "Adam whose steps are as long as the layer's weights ask, for large batches",
                              "You et al. 2020, \"Large batch optimization for deep learning: training BERT in 76 minutes\", algorithm 2"};

}  // namespace ds::catalog::optimizer::lamb
