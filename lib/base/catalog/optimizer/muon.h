#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::optimizer::muon {

struct Options : core::Options {
  double lr = 0.003, momentum = 0.95, weight_decay = 0.01, adam_factor = 1, eps = 1e-8;
  std::vector<double> betas = {0.9, 0.999};
  bool nesterov = true;
  std::int64_t ns_steps = 5;
  std::string adjust_lr = "match-rms-adamw";

  void fields(core::Fields& f) override {
    add_lr(f, lr, kAutoNone);
    f.add({.name = "momentum", .doc = "decay of the running mean of a hidden matrix' gradient", .min = 0, .max = 1, .below_max = true,
           .alias = "momentum"}, momentum);
    f.add({.name = "weight_decay", .doc = "shrinks weights by lr * weight_decay a step", .min = 0, .alias = "weight-decay"}, weight_decay);
    f.add({.name = "nesterov", .doc = "looks ahead by the momentum"}, nesterov);
    f.add({.name = "ns_steps", .doc = "steps of the Newton-Schulz iteration", .min = 1, .max = 99}, ns_steps);
    f.add({.name = "adjust_lr", .doc = "the rate of a matrix [A, B] times sqrt(max(1, A / B)), or times 0.2 sqrt(max(A, B)): steps as large as AdamW's",
           .choices = {"original", "match-rms-adamw"}}, adjust_lr);
    f.add({.name = "adam_factor", .doc = "rate of what AdamW trains (embeddings, output layer, norms, biases) by that of the matrices", .min = 0},
          adam_factor);
    f.add({.name = "betas", .doc = "of AdamW", .min = 0, .max = 1, .below_max = true}, betas);
    f.add({.name = "eps", .doc = "of AdamW", .min = 0, .above_min = true}, eps);
  }
  void check() const override { check_betas(betas); }
};

inline const core::Card kCard{"optimizer", "muon", "momentum made orthogonal for hidden matrices, AdamW for the rest",
                              "Jordan et al. 2024, \"Muon: an optimizer for hidden layers in neural networks\"; Liu et al. 2025, section 2.2"};

}  // namespace ds::catalog::optimizer::muon
