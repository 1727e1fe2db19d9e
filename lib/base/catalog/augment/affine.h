#pragma once
#include "base/core/registry.h"

namespace ds::catalog::augment::affine {

/// The defaults suit MNIST: more of any of them turns digits into others.
struct Options : core::Options {
  double degrees = 10, translate = 0.07, min_scale = 0.9, max_scale = 1.1;
  void fields(core::Fields& f) override {
    f.add({.name = "degrees", .doc = "largest rotation to either side", .min = 0, .max = 180}, degrees);
    f.add({.name = "translate", .doc = "largest shift, as a share of width and height: 2 pixels of 28", .min = 0, .max = 1}, translate);
    f.add({.name = "min-scale", .doc = "smallest scale", .min = 0, .above_min = true}, min_scale);
    f.add({.name = "max-scale", .doc = "largest scale", .min = 0, .above_min = true}, max_scale);
  }
};

inline const core::Card kCard{"augment", "affine", "random rotation, shift and scale, bilinear, black outside",
                              "Simard et al. 2003, \"Best practices for convolutional neural networks\", section 2"};

}  // namespace ds::catalog::augment::affine
