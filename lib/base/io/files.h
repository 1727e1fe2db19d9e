// Files written whole or not at all, read with caps, and digests.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ds::io {

/// Writes bytes to a descriptor: gathers small pieces, goes on after short writes and EINTR.
/// Throws ds::Error(kResource) naming `where`: disk full, closed pipe ...
class Sink {
 public:
  Sink(int fd, std::string where);
  void write(const void* data, std::size_t bytes);
  void flush();

 private:
  void drain(const std::byte* data, std::size_t bytes);
  int fd_;
  std::string where_;
  std::vector<std::byte> buffer_;
  std::size_t unsent_ = 0;  ///< bytes since the disk was last told to begin with what there is
};

/// Makes `path` a file with what `write` puts in the sink, or leaves all as it was: unnamed temporary (O_TMPFILE; where the file system
/// has none, a hidden one beside `path`), fsync, link and rename, fsync of the folder. `write` may be called twice. A symbolic link stays
/// and its target is replaced. Throws ds::Error: kUsage where `path` exists and not `overwrite`, or is no regular file; kResource else.
void replace_file(const std::string& path, bool overwrite, const std::function<void(Sink&)>& write);
/// The same to stdout. A reader that has gone is ds::Error(kResource), not a signal. Throws ds::Error(kUsage) where stdout is a terminal.
void write_stdout(const std::function<void(Sink&)>& write);

/// Writes text or bytes atomically: temporary file beside it, fsync, rename, fsync of the folder.
/// Throws ds::Error(kResource).
void write_file(const std::string& path, std::string_view bytes);
/// Lets `write` fill the temporary file of that name, then makes it `path`.
void write_atomically(const std::string& path, const std::function<void(const std::string& temporary)>& write);
/// A whole file. Throws ds::Error(kInput): missing, a folder, a FIFO, larger than `cap`.
std::string read_file(const std::string& path, std::int64_t cap = std::int64_t{1} << 32);
/// Whether there is something at `path`; false too where it cannot be looked at (a loop of links, a name that is too long).
bool exists(const std::string& path);
/// Throws ds::Error(kInput) unless `path` is a regular file. Never blocks: a FIFO is not opened.
void require_regular(const std::string& path);

/// Bytes in memory: a file's private mapping (writes stay in the process) or a buffer. `keeper` frees them. Page-aligned.
struct Bytes {
  std::byte* data = nullptr;
  std::size_t size = 0;
  std::shared_ptr<void> keeper;
};
/// Maps a regular file, without touching its pages. Throws ds::Error(kInput) as read_file; an empty file gives size 0.
Bytes map_file(const std::string& path, std::int64_t cap = std::int64_t{1} << 40);
/// All of stdin: mapped where it is a file, else read to its end.
/// Throws ds::Error(kInput) where it is larger than `cap` or cannot be read, ds::Error(kUsage) where it is a terminal.
Bytes read_stdin(std::int64_t cap = std::int64_t{1} << 34);

/// "" where a file can be made in `folder`, else why not. Tries it, since permissions alone do not tell (root, read-only disks); leaves nothing.
std::string creation_problem(const std::string& folder);

/// The absolute path without symbolic links, as far as it exists.
std::string absolute(const std::string& path);

std::string sha256(const void* data, std::size_t bytes);       ///< hex
std::string xxh3_128(const void* data, std::size_t bytes);     ///< hex

/// The folder of data sets and libraries: $DS_HOME, else $XDG_CACHE_HOME/ds, else $HOME/.cache/ds.
std::string home();

/// A lock on a folder (file `lock` with host, pid and the process's start), held by this object. A lock of a dead process of this host is
/// taken over, by one of those that try.
/// Throws ds::Error(kUsage) naming host and pid of the holder.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::string path_;
  int pid_ = 0;  ///< of the holder: a child that inherits the object leaves the lock alone
};

}  // namespace ds::io
