// Any bytes as NumPy's .npz and .npy: read or refused as bad input.
#include "base/io/numpy.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bool archive = size > 1 && data[0] == 'P';
  return ds_fuzz::refused_or_read(data, size, [&](const ds::io::Bytes& bytes) {
    return archive ? ds::io::parse_npz(bytes, "input.npz") : ds::io::parse_npy(bytes, "input.npy");
  });
}
