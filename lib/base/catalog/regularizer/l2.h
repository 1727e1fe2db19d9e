#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::l2 {

struct Options : core::Options {
  double l2 = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "l2", .doc = "adds half of this times the sum of w^2 over the weights to the loss, so that it goes through the optimizer's "
                                "moments; optim.weight_decay may be apart from them; 0.01 is usual, 0: off", .min = 0}, l2);
  }
};

inline const core::Card kCard{"regularizer", "l2", "penalty on the squares of weights, as a part of the loss",
                              "Hoerl & Kennard 1970, \"Ridge regression\"; Loshchilov & Hutter 2019, eq. 2, on the two kinds"};

}  // namespace ds::catalog::regularizer::l2
