#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::loss::bce {

struct Options : core::Options {
  std::vector<std::string> class_weights;  ///< "balanced", or one number a class; empty: all 1
  void fields(core::Fields& f) override {
    add_class_weights(f, class_weights);
  }
};

inline const core::Card kCard{"loss", "bce", "each class against all others by its sigmoid, one-vs-all; a mean over classes",
                              "Wightman et al. 2021, \"ResNet strikes back\", section 3, for one-vs-all"};

}  // namespace ds::catalog::loss::bce
