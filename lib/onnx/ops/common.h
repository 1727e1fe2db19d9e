// What several ops write.
#pragma once
#include <string>
#include <vector>

#include "onnx/emitter.h"

namespace ds::onnx::ops {

/// kernel_shape, strides and pads ([top, left, bottom, right]) of a node with a window; for a convolution dilations and group too.
Attributes window_attributes(const graph::NodeView& view, bool conv);

/// x W^T + b over the last axis. @param weight [out, in], or [in, out] where `transposed`
void linear(Emitter& e, const std::string& x, const std::string& weight, const std::string& bias, bool transposed, const std::string& to);

/// The output's type of the node.
graph::ValueType result_type(const Emitter& e, std::size_t i = 0);

/// ONNX's numbers of types, for Cast.
inline constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7, kBool = 9, kDouble = 11;

/// 0 to S - 1, int64 [S], where S is the size of axis 1.
std::string positions(Emitter& e, const std::string& x);

/// 1 where x is not 0, else 0, as the type that is asked for.
std::string as_truth(Emitter& e, const std::string& x, int type);

/// GELU of x, exact or by tanh.
std::string gelu(Emitter& e, const std::string& x, bool by_tanh, const std::string& to = "");

}  // namespace ds::onnx::ops
