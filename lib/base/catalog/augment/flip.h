#pragma once
#include "base/core/registry.h"

namespace ds::catalog::augment::flip {

struct Options : core::Options {
  double probability = 0.5;
  void fields(core::Fields& f) override {
    f.add({.name = "probability", .doc = "share of the images that are mirrored", .min = 0, .max = 1}, probability);
  }
};

inline const core::Card kCard{"augment", "flip", "random mirror image, left and right exchanged",
                              "He et al. 2016, \"Deep residual learning for image recognition\", section 4.2"};

}  // namespace ds::catalog::augment::flip
