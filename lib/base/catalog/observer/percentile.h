#pragma once
#include "base/core/registry.h"

namespace ds::catalog::observer::percentile {

struct Options : core::Options {
  double quantile = 0.9999;

  void fields(core::Fields& f) override {
    f.add({.name = "quantile", .doc = "share of the values that lies within, at each end", .min = 0.5, .max = 1}, quantile);
  }
};

inline const core::Card kCard{"observer", "percentile", "the range without its outermost values", "Wu et al. 2020, arXiv:2004.09602, section 3.2"};

}  // namespace ds::catalog::observer::percentile
