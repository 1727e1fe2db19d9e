#pragma once
#include "base/core/registry.h"

namespace ds::catalog::distillation::logits {

struct Options : core::Options {
  double temperature = 2, soft_weight = 0.7;

  void fields(core::Fields& f) override {
    f.add({.name = "temperature",
           .doc = "softens both distributions; the loss is multiplied by its square",
           .min = 0,
           .above_min = true,
           .alias = "temperature"},
          temperature);
    f.add({.name = "soft_weight", .doc = "weight of the teacher's term; the labels' term has the rest", .min = 0, .max = 1, .alias = "soft-weight"},
          soft_weight);
  }
};

inline const core::Card kCard{"distillation", "logits", "Kullback-Leibler divergence between softened outputs of teacher and student",
                              "Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2"};

}  // namespace ds::catalog::distillation::logits
