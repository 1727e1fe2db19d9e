// What every fuzz target promises: a reader gives tensors whose every byte may be read, or throws ds::Error(kInput); it never crashes, hangs or
// throws anything else.
#pragma once
#include <cstdlib>
#include <cstring>

#include "base/core/error.h"
#include "base/io/checksum.h"
#include "base/io/tensor_file.h"

namespace ds_fuzz {

template <class Read>
int refused_or_read(const std::uint8_t* data, std::size_t size, Read&& read) {
  // A copy of exactly that size: a sanitizer sees the first byte that is read beyond.
  void* memory = std::malloc(size == 0 ? 1 : size);
  std::memcpy(memory, data, size);
  const ds::io::Bytes bytes{static_cast<std::byte*>(memory), size, std::shared_ptr<void>(memory, std::free)};
  try {
    ds::io::Checksum sum;
    for (const auto& [name, array] : read(bytes).tensors) sum.update(array.data, array.bytes());
    (void)sum.hex();
  } catch (const ds::Error& error) {
    if (error.code() != ds::Exit::kInput) std::abort();
  }
  return 0;
}

}  // namespace ds_fuzz
