#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::cifar10 {

struct Options : core::Options {
  void fields(core::Fields&) override {}
};

inline const core::Card kCard{"dataset", "cifar10",
                              "cifar10:DIR, the binary version of CIFAR-10: data_batch_1.bin to data_batch_5.bin and test_batch.bin",
                              "Krizhevsky 2009, \"Learning multiple layers of features from tiny images\""};

}  // namespace ds::catalog::dataset::cifar10
