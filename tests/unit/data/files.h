// Small data files in a folder that goes away with the object.
#pragma once
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/core/error.h"

namespace data_test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ds-data-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& bytes) const { std::ofstream(*this / name, std::ios::binary) << bytes; }
  /// A copy of tests/golden/images/<picture>.
  void golden_picture(const std::string& picture, const std::string& name) const {
    std::filesystem::copy_file(DS_SOURCE_DIR "/tests/golden/images/" + picture, *this / name);
  }

 private:
  std::string path_;
};

inline std::string big_endian(std::uint32_t value) { return {char(value >> 24), char(value >> 16 & 255), char(value >> 8 & 255), char(value & 255)}; }
inline std::string idx_header(std::uint32_t magic, const std::vector<std::uint32_t>& dims) {
  std::string bytes = big_endian(magic);
  for (const std::uint32_t dim : dims) bytes += big_endian(dim);
  return bytes;
}
/// n images of h x w; pixel p of image i is (7 i + 3 p) mod 256.
inline std::string idx_images(std::uint32_t n, std::uint32_t h, std::uint32_t w) {
  std::string bytes = idx_header(0x803, {n, h, w});
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t p = 0; p < h * w; ++p) bytes += char((7 * i + 3 * p) % 256);
  }
  return bytes;
}
inline std::string idx_labels(const std::vector<int>& labels) {
  std::string bytes = idx_header(0x801, {std::uint32_t(labels.size())});
  for (const int label : labels) bytes += char(label);
  return bytes;
}
inline std::vector<int> cycle(int n, int classes) {
  std::vector<int> labels;
  for (int i = 0; i < n; ++i) labels.push_back(i % classes);
  return labels;
}

/// What `run` throws, as "code|where: what; hint"; "" where it throws nothing.
template <class F>
std::string failure(F run) {
  try {
    run();
  } catch (const ds::Error& error) {
    return std::to_string(int(error.code())) + "|" + error.what();
  }
  return "";
}

}  // namespace data_test
