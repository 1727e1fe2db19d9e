// What every fuzz target promises: a reader gives tensors whose every byte may be read, or throws ds::Error(kInput); it never crashes, hangs or
// throws anything else.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "base/core/error.h"
#include "base/io/checksum.h"
#include "base/io/tensor_file.h"

namespace ds_fuzz {

/// Calls work(bytes) on a copy of exactly that size, so that a sanitizer sees the first byte that is read beyond. An error with a code that is
/// not in `codes` ends the process.
template <class Work>
int refused_or_done(const std::uint8_t* data, std::size_t size, std::initializer_list<ds::Exit> codes, Work&& work) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (size > 0) std::memcpy(memory, data, size);
  const ds::io::Bytes bytes{static_cast<std::byte*>(memory), size, std::shared_ptr<void>(memory, std::free)};
  try {
    work(bytes);
  } catch (const ds::Error& error) {
    if (std::find(codes.begin(), codes.end(), error.code()) == codes.end()) std::abort();
  }
  return 0;
}

/// For readers of tensors: read(bytes) gives an io::TensorFile whose every byte is touched.
template <class Read>
int refused_or_read(const std::uint8_t* data, std::size_t size, Read&& read) {
  return refused_or_done(data, size, {ds::Exit::kInput}, [&](const ds::io::Bytes& bytes) {
    ds::io::Checksum sum;
    for (const auto& [name, array] : read(bytes).tensors) sum.update(array.data, array.bytes());
    (void)sum.hex();
  });
}

}  // namespace ds_fuzz
