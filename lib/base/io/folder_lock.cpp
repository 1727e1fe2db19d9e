#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/holder.h"

namespace ds::io {
namespace {

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name[0] ? name : "localhost";
}

/// Clock tick at which a process started (field 22 of /proc/PID/stat), "" where there is none. With it a pid that was given
/// to another process is told apart.
std::string start_of(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t end = text.rfind(')');  // the name before it may hold spaces
  if (end == std::string::npos) return "";
  std::istringstream fields(text.substr(end + 1));
  std::string value;
  for (int field = 3; field <= 22; ++field) fields >> value;
  return value;
}

Holder read_holder(const std::string& path) {
  Holder holder;
  std::ifstream file(path);
  file >> holder.host >> holder.pid >> holder.start;
  return holder;
}

/// Makes our file the lock in place of the one of a dead process. Of several that try, one holds the old file's flock; the
/// others see that the name has come to mean another file and begin anew.
bool take_over(const std::string& path, const std::string& own) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat opened {}, named {};
  const bool same = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
                    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev && !alive(read_holder(path));
  const bool taken = same && rename(own.c_str(), path.c_str()) == 0;
  close(fd);
  return taken;
}

}  // namespace

Holder this_process() { return {host_name(), start_of(getpid()), getpid()}; }

bool alive(const Holder& holder) {
  if (holder.host != host_name()) return true;  // cannot be known from here
  if (holder.pid <= 0 || (kill(holder.pid, 0) != 0 && errno == ESRCH)) return false;
  const std::string start = start_of(holder.pid);
  return start.empty() || holder.start.empty() || start == holder.start;
}

FolderLock::FolderLock(const std::string& folder) : path_(folder + "/lock"), pid_(getpid()) {
  static std::atomic<int> count{0};
  const std::string own = fmt::format("{}/.lock.{}-{}-{}", folder, host_name(), pid_, count++);
  const int fd = open(own.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  const std::string text = fmt::format("{} {} {}\n", host_name(), pid_, start_of(pid_));
  const bool written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!written) {
    unlink(own.c_str());
    throw Error(Exit::kResource, folder, fmt::format("cannot be locked: {}", std::strerror(error)));
  }
  // A link appears with its content or not at all: nobody reads half a lock.
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (link(own.c_str(), path_.c_str()) == 0) {
      unlink(own.c_str());
      return;
    }
    const int failed = errno;
    if (failed != EEXIST) {
      unlink(own.c_str());
      throw Error(Exit::kResource, folder, fmt::format("cannot be locked: {}", std::strerror(failed)));
    }
    struct stat status {};
    if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {  // a FIFO would hold us up for ever
      unlink(own.c_str());
      throw Error(Exit::kUsage, path_, "is not a regular file, expected the lock of a run", "remove it");
    }
    const Holder holder = read_holder(path_);
    if (holder.pid != 0 && alive(holder)) {
      unlink(own.c_str());
      throw Error(Exit::kUsage, folder, fmt::format("in use by process {} on {}", holder.pid, holder.host),
                  fmt::format("wait for it, or remove {} if it is gone", path_));
    }
    if (take_over(path_, own)) return;
    usleep(1000);
  }
  unlink(own.c_str());
  throw Error(Exit::kUsage, folder, "in use by another process");
}

FolderLock::~FolderLock() {
  if (getpid() != pid_) return;
  const Holder holder = read_holder(path_);
  if (holder.pid == pid_ && holder.host == host_name()) unlink(path_.c_str());
}

}  // namespace ds::io
