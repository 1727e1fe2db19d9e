#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::loss::cross_entropy {

struct Options : core::Options {
  std::vector<std::string> class_weights;  ///< "balanced", or one number a class; empty: all 1
  void fields(core::Fields& f) override {
    add_class_weights(f, class_weights);
  }
};

inline const core::Card kCard{"loss", "cross-entropy", "minus the logarithm of the right class's softmax; regularize.label_smoothing spreads the target",
                              "Szegedy et al. 2016, \"Rethinking the Inception architecture\", section 7, for the smoothing"};

}  // namespace ds::catalog::loss::cross_entropy
