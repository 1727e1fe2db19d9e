// The binary version of CIFAR: records of label bytes and 3072 pixels, three planes of 32x32.
#pragma once
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace ds::data::sets::cifar {

struct Layout {
  const char* name;                ///< of the data set
  const char* archive;             ///< the folder that the archive unpacks to: taken where DIR itself has no files
  std::vector<std::string> train;  ///< files, of equal length
  std::string test;
  std::vector<std::int64_t> classes;  ///< of each label byte of a record; the last one counts
  std::string names;                  ///< file with the names of the classes, a line each; may be absent
};

/// val is the last tenth of train. Throws ds::Error(kUsage) without a folder, kInput for a missing or corrupt file.
Dataset read(const std::string& folder, const Layout& layout, std::vector<std::string> names);

}  // namespace ds::data::sets::cifar
