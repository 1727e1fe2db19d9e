#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::loss::focal {

struct Options : core::Options {
  double gamma = 2;
  std::vector<std::string> class_weights;  ///< "balanced", or one number a class; empty: all 1
  void fields(core::Fields& f) override {
    f.add({.name = "gamma", .doc = "how little; 0: cross-entropy", .min = 0, .max = 10}, gamma);
    add_class_weights(f, class_weights);
  }
};

inline const core::Card kCard{"loss", "focal", "cross-entropy in which what is told well already counts little: times (1 - p) ^ gamma",
                              "Lin et al. 2017, \"Focal loss for dense object detection\", equations 4 and 5"};

}  // namespace ds::catalog::loss::focal
