// LD_PRELOAD library that makes the k-th call of a kind fail, fall short or kill the process.
//   DS_FAULT=write:3:enospc         the third write fails with ENOSPC
//   DS_FAULT=write:3+:enospc        the third and all later ones
//   DS_FAULT=write:5:short,fsync:1:eio,rename:1:kill
// Kinds: write (write, pwrite, writev), fsync (fsync, fdatasync), rename (rename, renameat, renameat2), link (link, linkat), open (for
// writing), alloc (mmap, posix_memalign, aligned_alloc). Faults: enospc, eio, eacces, enomem, short (half of the bytes), kill (SIGKILL).
// DS_FAULT_PATH: only calls whose path (of a descriptor: what /proc/self/fd says) contains this text count; alloc has no path.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>

namespace {

enum Kind { kWrite, kFsync, kRename, kLink, kOpen, kAlloc, kKinds };
enum Fault { kNone, kShort, kKill, kError };

const char* const kNames[kKinds] = {"write", "fsync", "rename", "link", "open", "alloc"};

struct Rule {
  long at = 0;         // 0: no rule
  bool onwards = false;
  Fault fault = kNone;
  int error = 0;
};

Rule rules[kKinds];
std::atomic<long> counts[kKinds];
const char* path_part = nullptr;
bool ready = false;

int error_of(const char* name) {
  if (strcmp(name, "enospc") == 0) return ENOSPC;
  if (strcmp(name, "eacces") == 0) return EACCES;
  if (strcmp(name, "enomem") == 0) return ENOMEM;
  return EIO;
}

void read_rule(const char* text) {
  char kind[16] = "", at[24] = "", fault[16] = "";
  if (sscanf(text, "%15[^:]:%23[^:]:%15[^,]", kind, at, fault) != 3) {
    fprintf(stderr, "ds_fault: cannot read '%s'\n", text);
    abort();
  }
  for (int i = 0; i < kKinds; ++i) {
    if (strcmp(kind, kNames[i]) != 0) continue;
    rules[i].at = atol(at);
    rules[i].onwards = strchr(at, '+') != nullptr;
    rules[i].fault = strcmp(fault, "short") == 0 ? kShort : strcmp(fault, "kill") == 0 ? kKill : kError;
    rules[i].error = error_of(fault);
  }
}

__attribute__((constructor)) void start() {
  path_part = getenv("DS_FAULT_PATH");
  for (const char* text = getenv("DS_FAULT"); text && *text;) {
    read_rule(text);
    text = strchr(text, ',');
    if (text) ++text;
  }
  ready = true;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool path_counts(const char* path) { return !path_part || (path && strstr(path, path_part)); }

bool descriptor_counts(int fd) {
  if (!path_part) return fd > 2;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return false;
  path[n] = 0;
  return path_counts(path);
}

/// Counts a call and says what is to become of it. Sets errno for an error.
Fault fault_of(Kind kind) {
  if (!ready || rules[kind].at == 0) return kNone;
  const long count = ++counts[kind];
  if (count != rules[kind].at && !(rules[kind].onwards && count > rules[kind].at)) return kNone;
  if (rules[kind].fault == kKill) kill(getpid(), SIGKILL);
  if (rules[kind].fault == kError) errno = rules[kind].error;
  return rules[kind].fault;
}

bool for_writing(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

}  // namespace

#pragma GCC diagnostic ignored "-Wnonnull-compare"

extern "C" {

ssize_t write(int fd, const void* data, size_t n) {
  static auto* next = real<ssize_t(int, const void*, size_t)>("write");
  const Fault fault = descriptor_counts(fd) ? fault_of(kWrite) : kNone;
  if (fault == kError) return -1;
  return next(fd, data, fault == kShort && n > 1 ? n / 2 : n);
}

ssize_t pwrite(int fd, const void* data, size_t n, off_t at) {
  static auto* next = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const Fault fault = descriptor_counts(fd) ? fault_of(kWrite) : kNone;
  if (fault == kError) return -1;
  return next(fd, data, fault == kShort && n > 1 ? n / 2 : n, at);
}

ssize_t pwrite64(int fd, const void* data, size_t n, off64_t at) { return pwrite(fd, data, n, at); }

ssize_t writev(int fd, const struct iovec* pieces, int count) {
  static auto* next = real<ssize_t(int, const struct iovec*, int)>("writev");
  const Fault fault = descriptor_counts(fd) ? fault_of(kWrite) : kNone;
  if (fault == kError) return -1;
  return next(fd, pieces, fault == kShort && count > 1 ? count / 2 : count);
}

int fsync(int fd) {
  static auto* next = real<int(int)>("fsync");
  return descriptor_counts(fd) && fault_of(kFsync) == kError ? -1 : next(fd);
}

int fdatasync(int fd) {
  static auto* next = real<int(int)>("fdatasync");
  return descriptor_counts(fd) && fault_of(kFsync) == kError ? -1 : next(fd);
}

int rename(const char* from, const char* to) {
  static auto* next = real<int(const char*, const char*)>("rename");
  return path_counts(to) && fault_of(kRename) == kError ? -1 : next(from, to);
}

int renameat(int from_fd, const char* from, int to_fd, const char* to) {
  static auto* next = real<int(int, const char*, int, const char*)>("renameat");
  return path_counts(to) && fault_of(kRename) == kError ? -1 : next(from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  static auto* next = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return path_counts(to) && fault_of(kRename) == kError ? -1 : next(from_fd, from, to_fd, to, flags);
}

int link(const char* from, const char* to) {
  static auto* next = real<int(const char*, const char*)>("link");
  return path_counts(to) && fault_of(kLink) == kError ? -1 : next(from, to);
}

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
  static auto* next = real<int(int, const char*, int, const char*, int)>("linkat");
  return path_counts(to) && fault_of(kLink) == kError ? -1 : next(from_fd, from, to_fd, to, flags);
}

int open(const char* path, int flags, ...) {
  static auto* next = real<int(const char*, int, ...)>("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return for_writing(flags) && path_counts(path) && fault_of(kOpen) == kError ? -1 : next(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  static auto* next = real<int(int, const char*, int, ...)>("openat");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return for_writing(flags) && path_counts(path) && fault_of(kOpen) == kError ? -1 : next(folder, path, flags, mode);
}

void* mmap(void* start, size_t n, int protection, int flags, int fd, off_t at) {
  static auto* next = real<void*(void*, size_t, int, int, int, off_t)>("mmap");
  return fault_of(kAlloc) == kError ? MAP_FAILED : next(start, n, protection, flags, fd, at);
}

int posix_memalign(void** to, size_t alignment, size_t n) {
  static auto* next = real<int(void**, size_t, size_t)>("posix_memalign");
  return fault_of(kAlloc) == kError ? ENOMEM : next(to, alignment, n);
}

void* aligned_alloc(size_t alignment, size_t n) {
  static auto* next = real<void*(size_t, size_t)>("aligned_alloc");
  return fault_of(kAlloc) == kError ? nullptr : next(alignment, n);
}

}  // extern "C"
