#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::bce {

struct Options : core::Options {
  std::vector<std::string> class_weights;  ///< "balanced", or one number a class; empty: all 1
  void fields(core::Fields& f) override {
    f.add({.name = "class_weights", .doc = "what a sample counts by its class: balanced (samples / classes / samples of the class), or a number a class",
           .value_name = "W"},
          class_weights);
  }
};

inline const core::Card kCard{"loss", "bce", "each class against all others by its sigmoid , one-vs-all; a mean over classes",
                              "Wightman et al. 2021, \"ResNet strikes back\", section 3, for one-vs-all"};

}  // namespace ds::catalog::loss::bce
