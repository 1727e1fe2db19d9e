#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::cifar100 {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"dataset", "cifar100", "cifar100:DIR, the binary version of CIFAR-100: train.bin and test.bin, fine labels",
                              "Krizhevsky 2009, \"Learning multiple layers of features from tiny images\""};

}  // namespace ds::catalog::dataset::cifar100
