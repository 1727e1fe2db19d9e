#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::csv {

/// Given behind the file: `csv:FILE?target=NAME`, `csv:FILE?text=NAME,target=NAME`, `csv:FILE?target=NAME+NAME,task=regression`.
struct Options : core::Options {
  std::string target, text, pair, task = "class";
  std::int64_t length = 0;
  void fields(core::Fields& f) override {
    f.add({.name = "target",
           .doc = "column that has the class of each row; with task=regression numbers, of which there may be several: NAME+NAME",
           .value_name = "NAME"},
          target);
    f.add({.name = "text", .doc = "column that has the text of each row; the others are left out", .value_name = "NAME"}, text);
    f.add({.name = "pair", .doc = "column that has a second text", .value_name = "NAME"}, pair);
    f.add({.name = "task", .doc = "a class or numbers of each row; embedding: a vector of each text, near its pair's or those of its class",
           .choices = {"class", "regression", "embedding"}},
          task);
    f.add({.name = "length", .doc = "most tokens of a text; 0: as the tokenizer says, else 256", .min = 0, .max = 1 << 20}, length);
  }
};

inline const core::Card kCard{
    "dataset", "csv",
    "csv:FILE?target=NAME, rows of numbers below a line of names, with the class in column NAME; 80 % train, 10 % val, 10 % test by the hash "
    "of a row; a model sees the other columns in the order of their names, as [columns,1,1]; "
    "csv:FILE?text=NAME,target=NAME[,pair=NAME,length=N], texts in a column, with a second one each in another; task=regression for numbers in "
    "target=NAME+NAME; task=embedding for vectors of texts: pair=NAME, with scores in target=NAME or without, or classes in target=NAME; "
    "FILE.jsonl has an object a line",
    ""};

}  // namespace ds::catalog::dataset::csv
