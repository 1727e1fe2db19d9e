#include "onnx/external.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/core/error.h"

namespace ds::onnx {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 12;
constexpr const char* kEnding = ".data";

struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

std::string data_file_name(const std::string& model, const std::string& digest) { return model + "." + digest + kEnding; }

std::vector<std::string> data_files_of(const std::string& path) {
  std::vector<std::string> found;
  const std::string prefix = fs::path(path).filename().string() + ".";
  const fs::path folder = fs::path(path).parent_path();
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, code)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != prefix.size() + kDigits + std::strlen(kEnding) || !name.starts_with(prefix) || !name.ends_with(kEnding)) continue;
    if (name.find_first_not_of("0123456789abcdef", prefix.size()) == prefix.size() + kDigits) found.push_back(name);
  }
  return found;
}

io::Bytes map_beside(const std::string& model_path, const std::string& location) {
  const auto refuse = [&](const std::string& what) {
    throw Error(Exit::kInput, model_path, fmt::format("its tensors are in '{}', {}", location.substr(0, 256), what));
  };
  if (location.empty() || location.size() > 255 || location.find('/') != std::string::npos || location.find('\\') != std::string::npos ||
      location.find('\0') != std::string::npos || location == "." || location == "..")
    refuse("expected the plain name of a file beside the model");
  const fs::path parent = fs::path(model_path).parent_path();
  const Fd folder{open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  // O_NONBLOCK: a FIFO is opened and seen to be one, in place of waiting for a writer.
  const Fd file{folder.fd < 0 ? -1 : openat(folder.fd, location.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (file.fd < 0) refuse(errno == ELOOP ? "a symbolic link" : fmt::format("which cannot be opened: {}", std::strerror(errno)));
  struct stat status {};
  if (fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode)) refuse("which is no regular file");
  if (status.st_nlink != 1) refuse(fmt::format("which has {} links, expected one: it may be another's file", status.st_nlink));
  io::Bytes bytes;
  bytes.size = static_cast<std::size_t>(status.st_size);
  if (bytes.size == 0) return bytes;
  void* memory = mmap(nullptr, bytes.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.fd, 0);
  if (memory == MAP_FAILED) throw Error(Exit::kResource, model_path, fmt::format("'{}' cannot be mapped: {}", location, std::strerror(errno)));
  bytes.data = static_cast<std::byte*>(memory);
  bytes.keeper = std::shared_ptr<void>(memory, [size = bytes.size](void* p) { munmap(p, size); });
  return bytes;
}

}  // namespace ds::onnx
