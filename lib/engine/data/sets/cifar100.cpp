#include "engine/data/assemble.h"
#include "engine/data/sets/cifar.h"

namespace ds::data::sets::cifar100 {

Dataset load(const std::string& rest, const core::Options&) {
  // A record has the coarse label first, one of 20, then the fine one.
  const cifar::Layout layout{"cifar100", "cifar-100-binary", {"train.bin"}, "test.bin", {20, 100}, "fine_label_names.txt"};
  return cifar::read(rest, layout, numbered(100));
}

const core::Body<LoadDataset> body{"dataset", "cifar100", load};

}  // namespace ds::data::sets::cifar100
