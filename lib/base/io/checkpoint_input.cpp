#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/checkpoint.h"
#include "base/io/checkpoint_image.h"
#include "base/io/files.h"

namespace ds::io {
namespace {

constexpr std::size_t kMaxRecord = std::size_t{1} << 26;

std::string scalar(const YAML::Node& node) { return node && node.IsScalar() ? node.Scalar() : ""; }

struct Output {
  std::string path, digest;
};

/// The first output of a record with `status: done`. yaml-cpp reads JSON too.
Output first_output(const Bytes& bytes) {
  const auto fail = [](const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, "-", what, hint); };
  if (bytes.size > kMaxRecord) fail(fmt::format("{} bytes on stdin, neither a checkpoint nor a record", bytes.size));
  YAML::Node record;
  try {
    record = YAML::Load(std::string(reinterpret_cast<const char*>(bytes.data), bytes.size));
  } catch (const std::exception&) {
    fail("stdin is neither a checkpoint (no HDF5 signature) nor a record (not YAML)");
  }
  if (!record.IsMap() || !record["status"]) fail("stdin is neither a checkpoint (no HDF5 signature) nor a record (no key 'status')");
  if (const std::string status = scalar(record["status"]); status != "done")
    fail(fmt::format("the record on stdin has status '{}', expected 'done'", status), "see what the tool before it said");
  const YAML::Node outputs = record["outputs"];
  if (!outputs || !outputs.IsSequence() || outputs.size() == 0 || !outputs[0].IsMap())
    fail("the record on stdin names no output", "give the tool before it an -o");
  const Output output{scalar(outputs[0]["path"]), scalar(outputs[0]["digest"])};
  if (output.path.empty()) fail("the record on stdin names no output", "give the tool before it an -o");
  if (output.path[0] != '/') fail(fmt::format("the record on stdin has the relative path '{}', expected an absolute one", output.path));
  return output;
}

}  // namespace

Checkpoint load_input(const std::string& path_or_dash, const LoadOptions& options) {
  if (path_or_dash != "-") return load(path_or_dash, options);
  const Bytes bytes = read_stdin();
  if (bytes.size == 0) throw Error(Exit::kInput, "-", "stdin is empty, expected a record or a checkpoint", "did the tool before it fail?");
  return has_signature(bytes) ? load_image(bytes, "-", options) : load_recorded(bytes, options);
}

Checkpoint load_recorded(const Bytes& record, const LoadOptions& options) {
  const Output output = first_output(record);
  Checkpoint checkpoint = load(output.path, options);
  if (!output.digest.empty() && output.digest != checkpoint.digest)
    throw Error(Exit::kInput, output.path, fmt::format("has root digest {}, the record on stdin says {}", checkpoint.digest, output.digest),
                "the file was written again since");
  return checkpoint;
}

void check_input(const std::string& path_or_dash) {
  if (!path_or_dash.empty() && path_or_dash != "-") load(path_or_dash);
}

void check_state(const std::string& path) try {
  if (exists(path)) load(path);
} catch (const Error& e) {
  throw Error(e.code(), e.where(), e.message(), (e.hint().empty() ? "" : e.hint() + ", or ") + "--resume no begins anew");
}

void check_output(const std::string& path, const std::vector<std::string>& inputs, bool force) {
  if (path.empty()) throw Error(Exit::kUsage, "--output", "empty file name");
  if (path == "-") {
    if (isatty(STDOUT_FILENO))
      throw Error(Exit::kUsage, "-", "stdout is a terminal, which binary data would spoil", "redirect it or name a file with -o");
    return;
  }
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  for (const std::string& input : inputs) {
    struct stat other {};
    const bool same = exists && input != "-" && stat(input.c_str(), &other) == 0 && other.st_ino == status.st_ino && other.st_dev == status.st_dev;
    if (same || (input != "-" && absolute(input) == absolute(path))) throw Error(Exit::kUsage, path, "output is also an input", "name another file");
  }
  if (exists && S_ISDIR(status.st_mode)) throw Error(Exit::kUsage, path, "is a folder, expected a file to write");
  if (exists && !S_ISREG(status.st_mode)) throw Error(Exit::kUsage, path, "is not a regular file", "-o - writes to a pipe");
  if (exists && !force) throw Error(Exit::kUsage, path, "exists", "-f overwrites it");
  // Found now, not when the work is done: neither the output nor the state of a run that is stopped could be written.
  for (const std::string& name : {path, path + ".partial"})
    if (struct stat ignored {}; stat(name.c_str(), &ignored) != 0 && errno == ENAMETOOLONG)
      throw Error(Exit::kResource, path, "is too long a name, with .partial for the state of a run behind it");
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  if (stat(folder.c_str(), &status) != 0) throw Error(Exit::kResource, path, "folder '" + folder + "' does not exist");
  if (!S_ISDIR(status.st_mode)) throw Error(Exit::kResource, path, "'" + folder + "' is not a folder");
  if (const std::string problem = creation_problem(folder); !problem.empty())
    throw Error(Exit::kResource, path, "folder '" + folder + "' is not writable: " + problem);
}

}  // namespace ds::io
