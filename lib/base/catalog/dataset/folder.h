#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::folder {

/// Given behind the folder: `folder:DIR?size=32,channels=1`.
struct Options : core::Options {
  std::string size;  ///< "N" or "HxW"; "" = that of the first picture, which all must have
  std::int64_t channels = 3;
  void fields(core::Fields& f) override {
    f.add({.name = "size", .doc = "pixels a side, or height x width: pictures are resized and their middle is taken", .value_name = "HxW"}, size);
    f.add({.name = "channels", .doc = "1 for grey, 3 for colour", .min = 1, .max = 3}, channels);
  }
};

inline const core::Card kCard{
    "dataset", "folder",
    "folder:DIR[?size=HxW,channels=3], a folder of JPEG and PNG a class, below DIR or DIR/{train,val,test}; what lacks is split off by the "
    "hash of the file's name: 80 % train, 10 % val, 10 % test (of DIR/train without val: 90 % and 10 %)",
    ""};

}  // namespace ds::catalog::dataset::folder
