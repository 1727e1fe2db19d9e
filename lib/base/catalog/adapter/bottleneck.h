#pragma once
#include "base/core/registry.h"
#include "base/graph/adapters.h"

namespace ds::catalog::adapter::bottleneck {

struct Options : graph::AdapterOptions {
  std::int64_t dim = 0;
  std::string activation = "relu", where = "mlp";

  void fields(core::Fields& f) override {
    AdapterOptions::fields(f);
    f.add({.name = "dim", .doc = "features of the bottleneck; 0: a sixteenth of the layer's", .min = 0, .max = 1e5}, dim);
    f.add({.name = "activation", .doc = "function in it", .choices = {"relu", "gelu", "silu"}}, activation);
    f.add({.name = "where", .doc = "after each MLP (Pfeiffer et al.), or after attention too (Houlsby et al.)", .choices = {"mlp", "both"}}, where);
  }
};

inline const core::Card kCard{"adapter", "bottleneck", "down, activation, up, and a sum, behind the blocks of a transformer; stays in the net",
                              "Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00247"};

}  // namespace ds::catalog::adapter::bottleneck
