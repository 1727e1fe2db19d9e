// Files written whole or not at all, read with caps, and digests.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ds::io {

/// Writes text or bytes atomically: temporary file beside it, fsync, rename, fsync of the folder.
/// Throws ds::Error(kResource).
void write_file(const std::string& path, std::string_view bytes);
/// Lets `write` fill the temporary file of that name, then makes it `path`.
void write_atomically(const std::string& path, const std::function<void(const std::string& temporary)>& write);
/// A whole file. Throws ds::Error(kInput): missing, a folder, a FIFO, larger than `cap`.
std::string read_file(const std::string& path, std::int64_t cap = std::int64_t{1} << 32);
/// Throws ds::Error(kInput) unless `path` is a regular file.
void require_regular(const std::string& path);

std::string sha256(const void* data, std::size_t bytes);       ///< hex
std::string xxh3_128(const void* data, std::size_t bytes);     ///< hex

/// The folder of data sets and libraries: $DS_HOME, else $XDG_CACHE_HOME/ds, else $HOME/.cache/ds.
std::string home();

/// A lock on a folder (file `lock` with host and pid), held by this object. A lock of a dead process of this host is taken over.
/// Throws ds::Error(kUsage) naming host and pid of the holder.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::string path_;
};

}  // namespace ds::io
