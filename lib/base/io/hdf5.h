// HDF5's C interface with owned identifiers, over memory: HDF5 parses and lays out metadata, and never does input or output itself.
// So a failed write never meets its caches, and a file that is swapped while it is read cannot matter.
#pragma once
#include <hdf5.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/io/array.h"

namespace ds::io::hdf5 {

/// HDF5 is not safe for threads: every function below, and every direct call, is made while this is held.
/// The first call prepares the library: its own messages and plug-ins off.
std::unique_lock<std::recursive_mutex> lock();

/// An identifier that closes itself.
class Id {
 public:
  Id() = default;
  /// Throws ds::Error(kInput, where, "<call> failed") for a negative one.
  Id(hid_t id, herr_t (*close)(hid_t), const char* call, const std::string& where);
  ~Id();
  Id(Id&& other) noexcept : id_(other.id_), close_(other.close_) { other.id_ = -1; }
  Id& operator=(Id&& other) noexcept;
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  operator hid_t() const { return id_; }
  /// Closes now and says whether that went well: a file's last metadata is laid out then.
  bool close();

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Throws ds::Error(kInput, where, "<call> failed") for a negative status.
void check(long long status, const char* call, const std::string& where);

/// How a dtype is stored: float16 and bfloat16 as uint16, bool and packed dtypes as uint8, all little-endian.
hid_t file_type(DType dtype);

/// What a file's metadata is read from or written to.
struct Memory {
  const std::byte* image = nullptr;  ///< reading: the whole file
  std::size_t bytes = 0;
  /// Writing: the pages that HDF5 has written, by number. Raw data only gets its place here: the caller writes it.
  std::map<std::uint64_t, std::array<std::byte, 4096>> pages;
  std::uint64_t end = 0;  ///< end of what is allocated
};

/// Opens an image, which must outlive the file, read-only.
Id open_image(Memory& memory, const std::string& where);
/// A new file of the format that we write: metadata with checksums (V18 to V110), no times, raw data at multiples of 64.
Id create_file(Memory& memory);

}  // namespace ds::io::hdf5
