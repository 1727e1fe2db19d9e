// ONNX's messages, as Debian's libonnx declares them. No header of LibTorch beside this one: it carries another protobuf.
#pragma once
#define ONNX_ML 1
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <onnx/onnx_pb.h>
#pragma GCC diagnostic pop

namespace ds::onnx {

namespace pb = ::onnx;

/// What we write: ONNX 1.12. Readers of opset 17 are those of 2022 and later.
inline constexpr int kIrVersion = 8, kOpset = 17;

}  // namespace ds::onnx
