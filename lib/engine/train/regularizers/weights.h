// What regularizers of weights have in common: which weights they are about.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "engine/train/trainer.h"

namespace ds::train {

/// The trained parameters that weight decay would apply to: those that multiply, and all with regularize.decay_norms.
std::vector<at::Tensor> decayed(Trainer& trainer);

/// The weight of a linear or convolutional layer that is trained.
struct LayerWeight {
  std::string name;         ///< of the tensor
  std::int64_t groups = 1;  ///< of a convolution
  bool transposed = false;  ///< [in, out], as GPT-2 has its linear layers
  /// As [groups, outputs of a group, inputs], a view where the layout allows one.
  at::Tensor matrices(const at::Tensor& weight) const;
};
/// Each tensor once; slices of tensors count as their whole.
std::vector<LayerWeight> layer_weights(Trainer& trainer);

}  // namespace ds::train
