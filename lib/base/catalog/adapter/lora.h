#pragma once
#include "base/core/registry.h"
#include "base/graph/adapters.h"

namespace ds::catalog::adapter::lora {

struct Options : graph::AdapterOptions {
  std::int64_t rank = 8;
  double alpha = 8, dropout = 0;

  void fields(core::Fields& f) override {
    AdapterOptions::fields(f);
    f.add({.name = "rank", .doc = "features between the two layers", .min = 1, .max = 1e5}, rank);
    f.add({.name = "alpha", .doc = "what it adds is multiplied by alpha / rank", .min = 0, .above_min = true}, alpha);
    f.add({.name = "dropout", .doc = "share of its inputs that are dropped", .min = 0, .max = 1, .below_max = true}, dropout);
  }
};

inline const core::Card kCard{"adapter", "lora", "two small linear layers beside a linear one of a transformer; merged without a trace",
                              "Hu et al. 2021, \"LoRA\", arXiv:2106.09685"};

}  // namespace ds::catalog::adapter::lora
