#include "base/io/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/io/checksum.h"

namespace ds::io {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kGather = 1 << 20;   ///< small pieces are written together
constexpr std::size_t kChunk = 16 << 20;   ///< one call's share of a large one
constexpr std::size_t kSend = 32 << 20;    ///< after so much the disk begins with it

std::string reason(int error) { return std::strerror(error); }

/// A descriptor that closes itself.
struct Fd {
  int fd;
  explicit Fd(int fd_) : fd(fd_) {}
  ~Fd() {
    if (fd >= 0) close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void sync_folder(const std::string& folder) {
  const Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some network file systems cannot sync a folder and say EINVAL: there the rename is as durable as it gets.
  if (fd.fd < 0 || (fsync(fd.fd) != 0 && errno != EINVAL)) throw Error(Exit::kResource, folder, "cannot be synced: " + reason(errno));
}

void sync(int fd, const std::string& path) {
  if (fsync(fd) != 0) throw Error(Exit::kResource, path, "cannot be synced to disk: " + reason(errno));
}

/// A name beside `path` that no other writer uses.
std::string temporary_name(const std::string& path) {
  static std::atomic<int> count{0};
  // A name may have 255 bytes, and that of the file may need all of them.
  return fmt::format("{}/.{}.{}-{}.tmp", folder_of(path), fs::path(path).filename().string().substr(0, 200), getpid(), count++);
}

/// Unlinks a temporary file unless it was renamed.
struct Temporary {
  std::string name;
  bool kept = false;
  explicit Temporary(std::string name_) : name(std::move(name_)) {}
  ~Temporary() {
    if (!kept) unlink(name.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
};

struct Target {
  std::string path;  ///< symbolic links resolved
  bool exists = false, overwrite = false;
  mode_t mode = 0;
};

Target target_of(const std::string& path, bool overwrite) {
  Target target{path};
  target.overwrite = overwrite;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (lstat(path.c_str(), &status) == 0) throw Error(Exit::kUsage, path, "is a symbolic link to nothing");
    return target;
  }
  if (S_ISDIR(status.st_mode)) throw Error(Exit::kUsage, path, "is a folder, expected a file to write");
  if (!S_ISREG(status.st_mode)) throw Error(Exit::kUsage, path, "is not a regular file", "-o - writes to a pipe");
  if (!overwrite) throw Error(Exit::kUsage, path, "exists", "-f overwrites it");
  target.path = fs::canonical(path).string();
  target.exists = true;
  target.mode = status.st_mode & 07777;
  return target;
}

[[noreturn]] void cannot_create(const std::string& path, int error) {
  const std::string folder = folder_of(path);
  if (error == ENOENT) throw Error(Exit::kResource, path, "folder '" + folder + "' does not exist");
  throw Error(Exit::kResource, path, "cannot be written: " + reason(error));
}

void put_in_place(const std::string& temporary, const Target& target) {
  if (rename(temporary.c_str(), target.path.c_str()) != 0)
    throw Error(Exit::kResource, target.path, "cannot be put in place: " + reason(errno));
}

/// With an unnamed file: a killed writer leaves nothing. False where the file system cannot.
bool replace_unnamed(const Target& target, const std::function<void(Sink&)>& write) {
  const Fd fd(open(folder_of(target.path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  if (fd.fd < 0) return false;
  if (target.exists) (void)fchmod(fd.fd, target.mode);
  Sink sink(fd.fd, target.path);
  write(sink);
  sink.flush();
  sync(fd.fd, target.path);
  const std::string self = fmt::format("/proc/self/fd/{}", fd.fd);
  if (!target.exists) {
    if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, target.path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno != EEXIST) return false;  // no /proc, or no links here: the named way says why
    if (!target.overwrite) throw Error(Exit::kUsage, target.path, "was made by another process meanwhile", "-f overwrites it");
  }
  Temporary temporary(temporary_name(target.path));
  if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary.name.c_str(), AT_SYMLINK_FOLLOW) != 0) return false;
  put_in_place(temporary.name, target);
  temporary.kept = true;
  return true;
}

void replace_named(const Target& target, const std::function<void(Sink&)>& write) {
  Temporary temporary(temporary_name(target.path));
  {
    const Fd fd(open(temporary.name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
    if (fd.fd < 0) {
      temporary.kept = true;  // not ours
      cannot_create(target.path, errno);
    }
    if (target.exists) (void)fchmod(fd.fd, target.mode);
    Sink sink(fd.fd, target.path);
    write(sink);
    sink.flush();
    sync(fd.fd, target.path);
  }
  put_in_place(temporary.name, target);
  temporary.kept = true;
}

}  // namespace

Sink::Sink(int fd, std::string where) : fd_(fd), where_(std::move(where)) { buffer_.reserve(kGather); }

void Sink::write(const void* data, std::size_t bytes) {
  const std::byte* from = static_cast<const std::byte*>(data);
  if (buffer_.size() + bytes > kGather) flush();
  if (bytes >= kGather) drain(from, bytes);
  else buffer_.insert(buffer_.end(), from, from + bytes);
}

void Sink::flush() {
  drain(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void Sink::drain(const std::byte* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, data, std::min(bytes, kChunk));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) throw Error(Exit::kResource, where_, "the reader of the pipe has gone");
    if (n <= 0) throw Error(Exit::kResource, where_, "cannot be written: " + reason(n < 0 ? errno : ENOSPC));
    data += n;
    bytes -= static_cast<std::size_t>(n);
    unsent_ += static_cast<std::size_t>(n);
    if (unsent_ < kSend) continue;
    // The disk writes while we copy, and fsync finds little left. Of a pipe it is an error that tells nothing.
    [[maybe_unused]] const int started = ::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
    unsent_ = 0;
  }
}

void replace_file(const std::string& path, bool overwrite, const std::function<void(Sink&)>& write) {
  const Target target = target_of(path, overwrite);
  if (!replace_unnamed(target, write)) replace_named(target, write);
  sync_folder(folder_of(target.path));
}

void write_stdout(const std::function<void(Sink&)>& write) {
  if (isatty(STDOUT_FILENO)) throw Error(Exit::kUsage, "-", "stdout is a terminal, which binary data would spoil", "redirect it or name a file with -o");
  struct sigaction ignore {}, before {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  struct Restore {
    const struct sigaction& action;
    ~Restore() { sigaction(SIGPIPE, &action, nullptr); }
  } restore{before};
  Sink sink(STDOUT_FILENO, "stdout");
  write(sink);
  sink.flush();
}

void write_file(const std::string& path, std::string_view bytes) {
  replace_file(path, true, [&](Sink& sink) { sink.write(bytes.data(), bytes.size()); });
}

void write_atomically(const std::string& path, const std::function<void(const std::string& temporary)>& write) {
  const Target target = target_of(path, true);
  Temporary temporary(temporary_name(target.path));
  write(temporary.name);
  {
    const Fd fd(open(temporary.name.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.fd < 0) cannot_create(target.path, errno);
    if (target.exists) (void)fchmod(fd.fd, target.mode);
    sync(fd.fd, target.path);
  }
  put_in_place(temporary.name, target);
  temporary.kept = true;
  sync_folder(folder_of(target.path));
}

bool exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

void require_regular(const std::string& path) {
  struct stat status {};
  if (path.empty()) throw Error(Exit::kInput, "", "empty file name");
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) throw Error(Exit::kInput, path, "no such file");
    throw Error(Exit::kInput, path, "cannot be read: " + reason(errno));
  }
  if (S_ISDIR(status.st_mode)) throw Error(Exit::kInput, path, "is a folder, expected a file");
  if (S_ISFIFO(status.st_mode)) throw Error(Exit::kInput, path, "is a FIFO, expected a regular file", "use - and redirect stdin");
  if (!S_ISREG(status.st_mode)) throw Error(Exit::kInput, path, "is not a regular file");
}

namespace {

/// Opens without blocking even where the file is swapped for a FIFO after the check.
int open_regular(const std::string& path, std::int64_t cap, std::int64_t& size) {
  require_regular(path);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    const int error = errno;
    if (fd >= 0) close(fd);
    throw Error(Exit::kInput, path, "cannot be read: " + reason(error));
  }
  size = status.st_size;
  if (size > cap) {
    close(fd);
    throw Error(Exit::kInput, path, fmt::format("{} bytes, at most {} are read", size, cap));
  }
  return fd;
}

Bytes map_descriptor(int fd, std::size_t size, const std::string& name) {
  Bytes bytes;
  bytes.size = size;
  if (size == 0) return bytes;
  // Not MAP_POPULATE: on a private writable mapping that copies every page.
  void* start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (start == MAP_FAILED) throw Error(Exit::kResource, name, "cannot be mapped: " + reason(errno));
  bytes.data = static_cast<std::byte*>(start);
  bytes.keeper = std::shared_ptr<void>(start, [size](void* p) { munmap(p, size); });
  return bytes;
}

}  // namespace

std::string read_file(const std::string& path, std::int64_t cap) {
  std::int64_t size = 0;
  const Fd fd(open_regular(path, cap, size));
  std::string text(static_cast<std::size_t>(size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = read(fd.fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(Exit::kInput, path, "cannot be read: " + reason(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  text.resize(done);
  return text;
}

Bytes map_file(const std::string& path, std::int64_t cap) {
  std::int64_t size = 0;
  const Fd fd(open_regular(path, cap, size));
  return map_descriptor(fd.fd, static_cast<std::size_t>(size), path);
}

Bytes read_stdin(std::int64_t cap) {
  if (isatty(STDIN_FILENO)) throw Error(Exit::kUsage, "-", "stdin is a terminal, expected a record or a checkpoint", "pipe one in");
  struct stat status {};
  if (fstat(STDIN_FILENO, &status) != 0) throw Error(Exit::kInput, "-", "stdin is closed");
  if (S_ISREG(status.st_mode) && lseek(STDIN_FILENO, 0, SEEK_CUR) == 0) {
    if (status.st_size > cap) throw Error(Exit::kInput, "-", fmt::format("{} bytes, at most {} are read", status.st_size, cap));
    return map_descriptor(STDIN_FILENO, static_cast<std::size_t>(status.st_size), "-");
  }
  // mremap moves pages, not bytes: growing costs no copy.
  std::size_t capacity = 1 << 20, size = 0;
  void* start = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw Error(Exit::kResource, "-", "no memory to read stdin");
  const auto fail = [&](Exit code, const std::string& what) {
    munmap(start, capacity);
    throw Error(code, "-", what);
  };
  for (;;) {
    if (size == capacity) {
      void* moved = mremap(start, capacity, capacity * 2, MREMAP_MAYMOVE);
      if (moved == MAP_FAILED) fail(Exit::kResource, fmt::format("no memory to read more than {} bytes of stdin", capacity));
      start = moved;
      capacity *= 2;
    }
    const ssize_t n = read(STDIN_FILENO, static_cast<std::byte*>(start) + size, capacity - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Exit::kInput, "stdin cannot be read: " + reason(errno));
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
    if (size > static_cast<std::size_t>(cap)) fail(Exit::kInput, fmt::format("more than {} bytes on stdin", cap));
  }
  Bytes bytes;
  bytes.data = static_cast<std::byte*>(start);
  bytes.size = size;
  bytes.keeper = std::shared_ptr<void>(start, [capacity](void* p) { munmap(p, capacity); });
  return bytes;
}

std::string creation_problem(const std::string& folder) {
  const Fd unnamed(open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (unnamed.fd >= 0) return "";
  const Temporary temporary(temporary_name(folder + "/probe"));
  const Fd named(open(temporary.name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  return named.fd >= 0 ? "" : reason(errno);
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const fs::path result = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : result.string();
}

std::string sha256(const void* data, std::size_t bytes) { return core::sha256_hex(data, bytes); }

std::string xxh3_128(const void* data, std::size_t bytes) {
  Checksum sum;
  sum.update(data, bytes);
  return sum.hex();
}

std::string home() {
  const auto get = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string own = get("DS_HOME"); !own.empty()) return own;
  if (const std::string cache = get("XDG_CACHE_HOME"); !cache.empty()) return cache + "/ds";
  return get("HOME") + "/.cache/ds";
}

}  // namespace ds::io
