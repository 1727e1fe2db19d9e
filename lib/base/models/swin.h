// What the two generations of Swin transformers share: windows that are shifted in every second block, stages that merge 2x2 patches.
#pragma once
#include <array>
#include <string>

#include "base/graph/builder.h"
#include "base/models/models.h"

namespace ds::models::swin {

struct Options : ArchOptions {
  std::int64_t dim = 96, heads = 3, window_size = 7;
  void fields(core::Fields& f) override;
  void check() const override;
};

/// What an entry is beside its options.
struct Plan {
  std::array<int, 4> depths;  ///< blocks a stage
  double drop_path;           ///< of the last block; linear up to it
  bool v2;  ///< norms behind what they are of, cosine attention, biases from a small net (Liu et al. 2022, arXiv:2111.09883, section 3)
};

/// The net of torchvision for images of any size: where windows do not fit, zeros are padded, as there.
graph::Graph make(const Options& options, const Plan& plan);

}  // namespace ds::models::swin
