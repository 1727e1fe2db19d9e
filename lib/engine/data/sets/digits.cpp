#include "engine/data/sets/idx.h"

namespace ds::data::sets::digits {

Dataset load(const std::string& rest, const core::Options&) { return idx::read_home("digits", rest); }

const core::Body<LoadDataset> body{"dataset", "digits", load};

}  // namespace ds::data::sets::digits
