#pragma once
#include "base/catalog/shared.h"

namespace ds::catalog::schedule::plateau {

struct Options : Schedule {
  std::string metric = "val_loss", better = "lower";
  double decay_rate = 0.1, threshold = 1e-4, final_factor = 0;
  std::int64_t patience = 10, cooldown = 0;

  void fields(core::Fields& f) override {
    warmup_fields(f);
    f.add({.name = "metric", .doc = "figure of an epoch that is looked at: a column of metrics.csv", .value_name = "NAME"}, metric);
    f.add({.name = "better", .doc = "which of two values of it is the better one", .choices = {"lower", "higher"}}, better);
    f.add({.name = "patience", .doc = "epochs without an improvement that are let pass", .min = 0, .unit = "epochs", .alias = "patience-epochs"}, patience);
    f.add({.name = "decay_rate", .doc = "factor of the rate then", .min = 0, .max = 1, .above_min = true, .below_max = true, .alias = "decay-rate"},
          decay_rate);
    f.add({.name = "threshold", .doc = "an improvement is one by more than this share", .min = 0}, threshold);
    f.add({.name = "cooldown", .doc = "epochs after a fall that do not count", .min = 0, .unit = "epochs", .alias = "cooldown-epochs"}, cooldown);
    f.add({.name = "final_factor", .doc = "the rate falls no lower than this share of the base rate", .min = 0, .max = 1}, final_factor);
  }
};

inline const core::Card kCard{"schedule", "plateau", "the rate falls when the validation no longer improves",
                              "as PyTorch's ReduceLROnPlateau"};

}  // namespace ds::catalog::schedule::plateau
