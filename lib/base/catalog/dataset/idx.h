#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::idx {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"dataset", "idx",
                              "idx:DIR, a folder of IDX files as MNIST comes in: {train,val,test}-images-idx3-ubyte and -labels-idx1-ubyte",
                              "LeCun et al. 1998, \"The MNIST database of handwritten digits\", file formats"};

}  // namespace ds::catalog::dataset::idx
