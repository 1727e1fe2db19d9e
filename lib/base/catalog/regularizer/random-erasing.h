#pragma once
#include "base/core/error.h"
#include "base/core/registry.h"

namespace ds::catalog::regularizer::random_erasing {

struct Options : core::Options {
  double random_erasing = 0, random_erasing_min = 0.02, random_erasing_max = 1.0 / 3;
  std::int64_t random_erasing_count = 1;
  std::string random_erasing_mode = "const";
  void fields(core::Fields& f) override {
    f.add({.name = "random_erasing", .doc = "share of the pictures in which boxes are erased; 0: off", .min = 0, .max = 1, .alias = "reprob"}, random_erasing);
    f.add({.name = "random_erasing_mode", .doc = "what boxes are filled with: 0, that is the mean (const), a normal number a channel (rand) or a pixel (pixel)",
           .choices = {"const", "rand", "pixel"}, .alias = "remode"}, random_erasing_mode);
    f.add({.name = "random_erasing_count", .doc = "boxes a picture; each has its part of the area", .min = 1, .max = 64, .alias = "recount"},
          random_erasing_count);
    f.add({.name = "random_erasing_min", .doc = "least share of the area", .min = 0, .max = 1, .above_min = true}, random_erasing_min);
    f.add({.name = "random_erasing_max", .doc = "largest share of the area", .min = 0, .max = 1, .above_min = true}, random_erasing_max);
  }
  void check() const override {
    if (random_erasing_min > random_erasing_max)
      throw Error(Exit::kUsage, "regularize.random_erasing_min", "is above regularize.random_erasing_max", "exchange the two");
  }
};

inline const core::Card kCard{"regularizer", "random-erasing", "boxes of training pictures are erased, after all augmentation",
                              "Zhong et al. 2020, \"Random erasing data augmentation\", arXiv:1708.04896, algorithm 1"};

}  // namespace ds::catalog::regularizer::random_erasing
