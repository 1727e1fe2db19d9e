// A small checkpoint with every dtype, a folder that goes away, and children that may crash.
#pragma once
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/io/checkpoint.h"
#include "base/io/files.h"

namespace io_test {

using ds::Exit;
using ds::io::Array;
using ds::io::Checkpoint;
using ds::io::DType;

/// A folder of its own below the system's temporary one.
struct Folder {
  std::string path;
  Folder() {
    std::string text = (std::filesystem::temp_directory_path() / "ds-io-XXXXXX").string();
    path = mkdtemp(text.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  /// Files in it, hidden ones too.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) names.push_back(entry.path().filename().string());
    return names;
  }
};

template <class T>
Array array_of(DType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  Array array = ds::io::make_array(dtype, std::move(shape));
  std::memcpy(array.data, values.data(), array.bytes());
  return array;
}

inline Checkpoint sample() {
  Checkpoint c;
  c.graph = {{"nodes", {{{"op", "linear"}, {"name", "fc"}}}}, {"pi", 3.5}};
  c.preprocessing = {{"kind", "image"}, {"shape", {1, 28, 28}}, {"mean", {0.13}}, {"std", {0.3}}};
  c.labels = {"null", "eins", "zw\u00f6lf"};
  c.config = {{"train", {{"epochs", 2}}}};
  c.history = {{{"epoch", 1}, {"val_loss", 0.25}}};
  c.provenance = {{{"tool", "ds-train"}}};
  c.tensors["f64"] = array_of<double>(DType::kF64, {2, 2}, {1, -2, 0.5, 1e300});
  c.tensors["f32"] = array_of<float>(DType::kF32, {3, 1}, {1.5f, -2.25f, 3e38f});
  c.tensors["f16"] = array_of<std::uint16_t>(DType::kF16, {4}, {0x3c00, 0xc000, 0x7bff, 0x0001});
  c.tensors["bf16"] = array_of<std::uint16_t>(DType::kBF16, {2}, {0x3f80, 0xbf00});
  c.tensors["i64"] = array_of<std::int64_t>(DType::kI64, {2}, {INT64_MIN, INT64_MAX});
  c.tensors["i32"] = array_of<std::int32_t>(DType::kI32, {2, 1, 1}, {-7, 7});
  c.tensors["i16"] = array_of<std::int16_t>(DType::kI16, {2}, {-300, 300});
  c.tensors["i8"] = array_of<std::int8_t>(DType::kI8, {3}, {-127, 0, 127});
  c.tensors["u8"] = array_of<std::uint8_t>(DType::kU8, {3}, {0, 128, 255});
  c.tensors["bool"] = array_of<std::uint8_t>(DType::kBool, {2}, {0, 1});
  c.tensors["i4"] = array_of<std::uint8_t>(DType::kI4, {3, 1}, {0x8f, 0x07});   // -1, -8, 7
  c.tensors["u4"] = array_of<std::uint8_t>(DType::kU4, {}, {0x09});
  c.tensors["scalar"] = array_of<float>(DType::kF32, {}, {42.f});
  c.tensors["layer1.0.conv1.weight"] = array_of<float>(DType::kF32, {1, 2, 1, 1}, {0.f, -0.f});
  c.state_tensors["masters/f32"] = array_of<float>(DType::kF32, {3, 1}, {1.f, 2.f, 3.f});
  return c;
}

inline std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void spill(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

inline std::vector<std::byte> to_bytes(const std::string& text) {
  const auto* start = reinterpret_cast<const std::byte*>(text.data());
  return {start, start + text.size()};
}

/// The exit code of what `work` throws, kDone where it throws nothing; `message` takes its text.
template <class Work>
Exit code_of(Work&& work, std::string* message = nullptr) {
  try {
    work();
  } catch (const ds::Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
  return Exit::kDone;
}

/// Runs work(i) for i = 0..count-1 in a child; false for one whose promise is broken. Returns the first i that was false, crashed or hung
/// (within `seconds` for all), -1 where there is none.
template <class Work>
long first_failure(long count, unsigned seconds, Work&& work) {
  auto* at = static_cast<volatile long*>(mmap(nullptr, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t child = fork();
  if (child == 0) {
    alarm(seconds);
    for (long i = 0; i < count; ++i) {
      *at = i;
      if (!work(i)) _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const long failed = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? -1 : *at;
  munmap(const_cast<long*>(at), sizeof(long));
  return failed;
}

/// True where the bytes are refused as bad input, or load as what they were.
inline bool refused_or_same(const std::string& bytes, const std::string& digest) {
  try {
    return ds::io::load_bytes(to_bytes(bytes), "bytes").digest == digest;
  } catch (const ds::Error& error) {
    return error.code() == Exit::kInput;
  }
}

}  // namespace io_test
