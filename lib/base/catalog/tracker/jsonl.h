#pragma once
#include "base/core/registry.h"

namespace ds::catalog::tracker::jsonl {

/// Two of these are read by other trackers too: how often they tell of steps, and what they call the run.
struct Options : core::Options {
  bool jsonl = true;
  std::int64_t log_interval = 10;
  std::string run_name;
  void fields(core::Fields& f) override {
    f.add({.name = "jsonl", .doc = "write metrics.jsonl in the run folder", .hidden = true}, jsonl);
    f.add({.name = "log_interval", .doc = "steps from one line of metrics.jsonl, and point of TensorBoard and MLflow, to the next", .min = 1, .max = 1e9,
           .unit = "steps", .alias = "log-interval", .hidden = true}, log_interval);
    f.add({.name = "run_name", .doc = "what trackers call the run; default: the name of the run folder or of the output", .alias = "run-name",
           .value_name = "NAME", .hidden = true}, run_name);
  }
};

inline const core::Card kCard{"tracker", "jsonl", "metrics.jsonl in the run folder: a line each log_interval steps, each epoch and each alarm", ""};

}  // namespace ds::catalog::tracker::jsonl
