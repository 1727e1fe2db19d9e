// What several nodes mean together, found from the last of them.
#pragma once
#include "onnx/import/importer.h"

namespace ds::onnx::imports {

/// Whether the reshape ends an attention by heads, which then is its output.
bool attention_before(Reader& r);

/// Whether the reshape to these sizes ends a linear layer that was written over rows [-1, in]: it then is one over the last axis.
bool linear_before(Reader& r, const std::vector<graph::Dim>& to);

/// Whether a Clip ends an int8 op in the form that we write (quantize, float op, round): its output then is that op's, in bytes.
bool quantized_before(Reader& r);

/// Whether the Conv or Gemm reads bytes and int8 weights through DequantizeLinear: its output then is that of the int8 op, in float.
bool quantized_weights(Reader& r);

/// Output 0 is these sizes, int64 [n], or [] where `scalar`; a constant where all of them are known.
void put_sizes(Reader& r, std::vector<graph::Dim> sizes, bool scalar = false);

}  // namespace ds::onnx::imports
