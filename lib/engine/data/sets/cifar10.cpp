#include "engine/data/sets/cifar.h"

namespace ds::data::sets::cifar10 {

Dataset load(const std::string& rest, const core::Options&) {
  const cifar::Layout layout{"cifar10",
                             "cifar-10-batches-bin",
                             {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
                             "test_batch.bin",
                             {10},
                             "batches.meta.txt"};
  return cifar::read(rest, layout, {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"});
}

const core::Body<LoadDataset> body{"dataset", "cifar10", load};

}  // namespace ds::data::sets::cifar10
