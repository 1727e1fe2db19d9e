#pragma once
#include "base/core/registry.h"

namespace ds::catalog::augment::crop {

struct Options : core::Options {
  std::int64_t padding = 4;
  void fields(core::Fields& f) override {
    f.add({.name = "padding", .doc = "black pixels added at each side first", .min = 0, .max = 1024}, padding);
  }
};

inline const core::Card kCard{"augment", "crop", "random crop of the image's own size from the padded image",
                              "He et al. 2016, \"Deep residual learning for image recognition\", section 4.2"};

}  // namespace ds::catalog::augment::crop
