// ds-convert between checkpoints and ONNX.
#pragma once
#include "base/commands/convert.h"

namespace ds::commands {

/// Converts where input or output is an ONNX model. The work is done by libds_onnx.so; ds::Error(kResource) where that is not installed.
void convert_onnx(const ConvertCommand& options, core::Record& record);

}  // namespace ds::commands
