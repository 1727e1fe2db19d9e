#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::drop_path {

struct Options : core::Options {
  double drop_path = -1;
  void fields(core::Fields& f) override {
    f.add({.name = "drop_path", .doc = "share of samples that skip the last residual block; it grows evenly from 0 in the first one; -1: as the model has it",
           .min = -1, .max = 1, .below_max = true, .alias = "drop-path"}, drop_path);
  }
};

inline const core::Card kCard{"regularizer", "drop-path", "stochastic depth: residual branches are left out at random",
                              "Huang et al. 2016, \"Deep networks with stochastic depth\", arXiv:1603.09382, eq. 4"};

}  // namespace ds::catalog::regularizer::drop_path
