#pragma once
#include "base/core/registry.h"

namespace ds::catalog::augment::rand_augment {

struct Options : core::Options {
  std::int64_t ops = 2;
  double magnitude = 9;
  void fields(core::Fields& f) override {
    f.add({.name = "ops", .doc = "changes a picture, drawn from 14 with repetition", .min = 0, .max = 64}, ops);
    f.add({.name = "magnitude", .doc = "how strong they are, of 30", .min = 0, .max = 30}, magnitude);
  }
};

inline const core::Card kCard{"augment", "rand-augment", "random changes of place, light and colour, all of one strength",
                              "Cubuk et al. 2020, \"RandAugment\", arXiv:1909.13719, section 3; ranges as in torchvision"};

}  // namespace ds::catalog::augment::rand_augment
