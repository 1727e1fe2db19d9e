#pragma once
#include "base/core/registry.h"

namespace ds::catalog::loss::cosine {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"loss", "cosine", "square of the difference between the cosine of two vectors and the score of the pair",
                              "Reimers and Gurevych 2019, \"Sentence-BERT\", section 3, the regression objective"};

}  // namespace ds::catalog::loss::cosine
