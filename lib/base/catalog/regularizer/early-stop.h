#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::early_stop {

struct Options : core::Options {
  std::int64_t early_stop = 0;
  double early_stop_min_delta = 0;
  std::string early_stop_metric = "auto", early_stop_mode = "auto";
  void fields(core::Fields& f) override {
    f.add({.name = "early_stop", .doc = "ends the run when the metric has not become better for so many epochs (train.keep: best then restores the best "
                                        "weights); 0: off", .min = 0, .unit = "epochs", .alias = "early-stop"}, early_stop);
    f.add({.name = "early_stop_min_delta", .doc = "by how much it must become better to count", .min = 0}, early_stop_min_delta);
    f.add({.name = "early_stop_metric", .doc = "a number of the history; auto: val_top1, or val_loss where there are no classes", .value_name = "NAME"},
          early_stop_metric);
    f.add({.name = "early_stop_mode", .doc = "which is better; auto: less of losses, errors and perplexities, more of others",
           .choices = {"auto", "min", "max"}}, early_stop_mode);
  }
};

inline const core::Card kCard{"regularizer", "early-stop", "ends a run that no longer becomes better on the validation split",
                              "Prechelt 1998, \"Early stopping - but when?\", the criterion UP"};

}  // namespace ds::catalog::regularizer::early_stop
