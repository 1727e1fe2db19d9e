#include "engine/data/sets/idx.h"

namespace ds::data::sets::mnist5k {

Dataset load(const std::string& rest, const core::Options&) { return idx::read_home("mnist5k", rest); }

const core::Body<LoadDataset> body{"dataset", "mnist5k", load};

}  // namespace ds::data::sets::mnist5k
