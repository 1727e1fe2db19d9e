#pragma once
#include "base/core/registry.h"

namespace ds::catalog::criterion::group_l2 {

struct Options : core::Options {
  bool normalize = true;

  void fields(core::Fields& f) override {
    f.add({.name = "normalize", .doc = "divide by the mean of the layer before ranking all layers together, so that none is emptied"}, normalize);
  }
};

inline const core::Card kCard{"criterion", "group-l2", "mean squared L2 norm of all that goes with a channel: producers, norms, consumers",
                              "Fang et al. 2023, \"DepGraph\", arXiv:2301.12900, section 3.3"};

}  // namespace ds::catalog::criterion::group_l2
