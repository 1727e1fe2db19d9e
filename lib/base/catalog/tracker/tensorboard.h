#pragma once
#include "base/core/registry.h"

namespace ds::catalog::tracker::tensorboard {

struct Options : core::Options {
  bool tensorboard = true;
  void fields(core::Fields& f) override {
    f.add({.name = "tensorboard", .doc = "write event files of TensorBoard in the run folder; not with --reproducible, since they hold times",
           .alias = "tensorboard", .hidden = true}, tensorboard);
  }
};

inline const core::Card kCard{"tracker", "tensorboard", "event files in the run folder: `tensorboard --logdir DIR`", ""};

}  // namespace ds::catalog::tracker::tensorboard
