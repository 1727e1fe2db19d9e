#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::cross_entropy {

struct Options : core::Options {
  std::vector<std::string> class_weights;  ///< "balanced", or one number a class; empty: all 1
  void fields(core::Fields& f) override {
    f.add({.name = "class_weights", .doc = "what a sample counts by its class: balanced (samples / classes / samples of the class), or a number a class",
           .value_name = "W"},
          class_weights);
  }
};

inline const core::Card kCard{"loss", "cross-entropy", "minus the logarithm of the right class's softmax; regularize.label_smoothing spreads the target",
                              "Szegedy et al. 2016, \"Rethinking the Inception architecture\", section 7, for the smoothing"};

}  // namespace ds::catalog::loss::cross_entropy
