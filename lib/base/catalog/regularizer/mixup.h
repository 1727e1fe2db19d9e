#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::mixup {

struct Options : core::Options {
  double mixup = 0, mixup_prob = 1, mixup_switch_prob = 0.5;
  std::string mixup_mode = "batch";
  void fields(core::Fields& f) override {
    f.add({.name = "mixup", .doc = "blends each picture and its label with another one's, by a share drawn from Beta(a, a) of this a; 0: off", .min = 0,
           .max = 1e3, .alias = "mixup"}, mixup);
    f.add({.name = "mixup_prob", .doc = "share of the steps that mixup or cutmix change", .min = 0, .max = 1, .alias = "mixup-prob"}, mixup_prob);
    f.add({.name = "mixup_switch_prob", .doc = "with both: share of those steps that are cutmix's", .min = 0, .max = 1, .alias = "mixup-switch-prob"},
          mixup_switch_prob);
    f.add({.name = "mixup_mode", .doc = "one share a batch, or one a sample", .choices = {"batch", "elem"}, .alias = "mixup-mode"}, mixup_mode);
  }
};

inline const core::Card kCard{"regularizer", "mixup", "blends of two pictures, learnt as blends of their labels",
                              "Zhang et al. 2018, \"mixup: beyond empirical risk minimization\", arXiv:1710.09412, section 2"};

}  // namespace ds::catalog::regularizer::mixup
