// Any bytes as torch's .pth, and those behind the first as a pickle on its own: read or refused as bad input. The CRC-32 of archives is not
// computed here, so that changed bytes reach the pickle.
#include "base/io/pickle.h"

#include "base/io/pth.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0 && data[0] == '!') {
    return ds_fuzz::refused_or_read(data + 1, size - 1, [](const ds::io::Bytes& bytes) {
      ds::io::PickleReader reader("input", [](const std::string& global) { return global.size() % 2 == 0; });
      for (std::size_t at = 0; at < bytes.size;) reader.read(bytes, at);
      return ds::io::TensorFile{};
    });
  }
  return ds_fuzz::refused_or_read(data, size, [](const ds::io::Bytes& bytes) { return ds::io::parse_pth(bytes, "input.pth", false); });
}
