#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::csv {

/// Given behind the file: `csv:FILE?target=NAME`.
struct Options : core::Options {
  std::string target;
  void fields(core::Fields& f) override {
    f.add({.name = "target", .doc = "column that has the class of each row", .value_name = "NAME"}, target);
  }
};

inline const core::Card kCard{
    "dataset", "csv",
    "csv:FILE?target=NAME, rows of numbers below a line of names, with the class in column NAME; 80 % train, 10 % val, 10 % test by the hash "
    "of a row; a model sees the other columns in the order of their names, as [columns,1,1]",
    ""};

}  // namespace ds::catalog::dataset::csv
