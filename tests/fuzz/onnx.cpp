// Any bytes as an ONNX model, by the graph that travels along and by the nodes: read or refused as bad input.
#include "fuzz.h"

#include "onnx/read.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool own : {true, false})
    ds_fuzz::refused_or_read(data, size, [own](const ds::io::Bytes& bytes) { return ds::onnx::read_model(bytes, "none/input.onnx", {.own = own}).file; });
  return 0;
}
