// IDX files: two zero bytes, 8 (unsigned byte), the rank, then the dims as big-endian 32-bit integers, then the values.
#pragma once
#include <string>

#include "engine/data/dataset.h"

namespace ds::data::sets::idx {

/// A folder with {train,val,t10k|test}-images-idx3-ubyte and -labels-idx1-ubyte (or .idx3-ubyte). val may be absent: the last tenth of train
/// then; test may be absent: an empty split. `dataset.json` there may state num_classes, labels, shape, scale, mean, std; else num_classes is
/// the largest label of train + 1.
/// Throws ds::Error(kInput) with the file, what it holds and what was expected.
Dataset read_folder(const std::string& folder);
/// The folder of that name below io::home()/data, as scripts/setup.sh writes it.
/// Throws ds::Error(kUsage) where `rest` is not empty, kInput with the command to run where the folder is not there.
Dataset read_home(const std::string& name, const std::string& rest);

}  // namespace ds::data::sets::idx
