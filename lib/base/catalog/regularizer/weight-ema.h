#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::weight_ema {

struct Options : core::Options {
  bool weight_ema = false, weight_ema_warmup = true;
  double weight_ema_decay = 0.9998;
  void fields(core::Fields& f) override {
    f.add({.name = "weight_ema", .doc = "a running mean of the weights is validated and kept in their place", .alias = "model-ema"}, weight_ema);
    f.add({.name = "weight_ema_decay", .doc = "share of the mean that stays in each step", .min = 0, .max = 1, .below_max = true, .alias = "model-ema-decay"},
          weight_ema_decay);
    f.add({.name = "weight_ema_warmup", .doc = "a smaller share at first: 1 - (1 + t)^(-2/3) in step t, where that is less", .alias = "model-ema-warmup"},
          weight_ema_warmup);
  }
};

inline const core::Card kCard{"regularizer", "weight-ema", "exponential moving average of weights and running statistics",
                              "Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv:1703.01780, eq. 3; warm-up as in timm"};

}  // namespace ds::catalog::regularizer::weight_ema
