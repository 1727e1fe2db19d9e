#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::synthetic {

/// Given behind the name: `synthetic:shape=3x32x32,classes=10,train=512`.
struct Options : core::Options {
  std::string shape = "1x28x28";  ///< CxHxW
  std::int64_t classes = 10, train = 512, val = 128, test = 256, seed = 1;
  void fields(core::Fields& f) override {
    f.add({.name = "shape", .doc = "channels x height x width", .value_name = "CxHxW"}, shape);
    f.add({.name = "classes", .doc = "number of classes", .min = 1, .max = 65536}, classes);
    f.add({.name = "train", .doc = "samples to train on", .min = 1}, train);
    f.add({.name = "val", .doc = "samples to validate on", .min = 0}, val);
    f.add({.name = "test", .doc = "samples to test on", .min = 0}, test);
    f.add({.name = "seed", .doc = "seed of prototypes and noise", .min = 0}, seed);
  }
};

inline const core::Card kCard{
    "dataset", "synthetic",
    "synthetic[:shape=1x28x28,classes=10,train=512,val=128,test=256,seed=1], a smooth picture a class, with changing contrast and noise", ""};

}  // namespace ds::catalog::dataset::synthetic
