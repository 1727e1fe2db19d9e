#pragma once
#include "base/core/registry.h"

namespace ds::catalog::tracker::page {

struct Options : core::Options {
  bool page = true;
  void fields(core::Fields& f) override {
    f.add({.name = "page", .doc = "write report.html in the run folder, anew after each epoch, as far as that takes 1 % of the time", .hidden = true}, page);
  }
};

inline const core::Card kCard{"tracker", "page", "report.html in the run folder: curves of metrics.jsonl, anew after each epoch or some", ""};

}  // namespace ds::catalog::tracker::page
