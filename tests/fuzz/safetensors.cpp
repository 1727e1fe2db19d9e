// Any bytes as a safetensors file: read or refused as bad input.
#include "base/io/safetensors.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return ds_fuzz::refused_or_read(data, size, [](const ds::io::Bytes& bytes) { return ds::io::parse_safetensors(bytes, "input"); });
}
