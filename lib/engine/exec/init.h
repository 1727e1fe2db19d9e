// Initialisers: how the tensors of a fresh graph start. Keyed by the tensor's name, so that adding a layer changes no other's values.
#pragma once
#include <ATen/core/Tensor.h>

#include "base/graph/graph.h"

namespace ds::exec {

/// Fills `tensor` by spec.init: {"kind": zeros | ones | constant (value) | uniform (a, b) | normal (mean, std) | truncated_normal (std, cut at
/// 2 std) | kaiming_uniform (a, fan_in; He et al. 2015, eq. 10) | kaiming_normal (fan, gain) | xavier_uniform (fan_in, fan_out; Glorot &
/// Bengio 2010, eq. 16) | orthogonal (gain; Saxe et al. 2014, arXiv:1312.6120: rows, or columns where there are more rows, of the matrix
/// [shape[0], the rest] are orthonormal times gain) | relative_index, relative_coords (constants of Swin transformers, by the tensor's shape)}.
/// Throws ds::Error(kInput) for
/// an unknown kind.
void initialise(at::Tensor& tensor, const graph::TensorSpec& spec, std::uint64_t seed);

}  // namespace ds::exec
