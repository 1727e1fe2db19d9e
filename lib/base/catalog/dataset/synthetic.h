#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::synthetic {

/// Given behind the name: `synthetic:shape=3x32x32,classes=10,train=512`, `synthetic:kind=tokens,vocab=64,length=16`.
struct Options : core::Options {
  std::string kind = "image", task = "class";
  std::string shape = "1x28x28";  ///< CxHxW
  std::int64_t classes = 10, train = 512, val = 128, test = 256, seed = 1;
  std::int64_t vocab = 64, length = 16;
  void fields(core::Fields& f) override {
    f.add({.name = "kind", .doc = "images, or sequences of tokens", .choices = {"image", "tokens"}}, kind);
    f.add({.name = "task", .doc = "of tokens, what is to be told: a class of each sample or token, the next token, or masked ones",
           .choices = {"class", "token", "next", "masked"}},
          task);
    f.add({.name = "vocab", .doc = "different tokens, five of them special", .min = 8, .max = 1 << 20}, vocab);
    f.add({.name = "length", .doc = "most tokens of a sample; it has at least half of them", .min = 1, .max = 65536}, length);
    f.add({.name = "shape", .doc = "of images: channels x height x width", .value_name = "CxHxW"}, shape);
    f.add({.name = "classes", .doc = "number of classes", .min = 1, .max = 65536}, classes);
    f.add({.name = "train", .doc = "samples to train on", .min = 1}, train);
    f.add({.name = "val", .doc = "samples to validate on", .min = 0}, val);
    f.add({.name = "test", .doc = "samples to test on", .min = 0}, test);
    f.add({.name = "seed", .doc = "seed of prototypes and noise", .min = 0}, seed);
  }
};

inline const core::Card kCard{
    "dataset", "synthetic",
    "synthetic[:shape=1x28x28,classes=10,train=512,val=128,test=256,seed=1], a smooth picture a class, with changing contrast and noise; "
    "synthetic:kind=tokens[,task=class,vocab=64,length=16,...], sequences of tokens", ""};

}  // namespace ds::catalog::dataset::synthetic
