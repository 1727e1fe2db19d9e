#include "base/io/hf_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/core/error.h"
#include "base/core/values.h"
#include "base/io/checkpoint_format.h"
#include "base/io/files.h"
#include "base/io/pth.h"
#include "base/io/safetensors.h"

namespace ds::io {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::int64_t kMaxIndex = std::int64_t{1} << 28;  ///< bytes
constexpr std::size_t kShown = 10;                         ///< names that a message lists

/// "3 tensors ...: a, b, c", the first ten.
void report(std::vector<Error>& errors, const std::string& where, const std::vector<std::string>& names, const std::string& what) {
  if (names.empty()) return;
  std::string text = fmt::format("{} tensor{} {}: ", names.size(), names.size() == 1 ? "" : "s", what);
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  errors.emplace_back(Exit::kInput, where, text);
}

/// A name that stays in its folder.
bool is_plain(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

TensorFile read_one(const std::string& path, WeightFile& file, bool sums) {
  const Bytes bytes = map_file(path);
  if (sums) file.sha256 = sha256(bytes.data, bytes.size);
  return path.ends_with(".safetensors") ? parse_safetensors(bytes, path, sums) : parse_pth(bytes, path, sums);
}

/// {shard: names of its tensors}.
std::map<std::string, std::set<std::string>> read_index(const std::string& path) {
  const Json index = read_json(path, kMaxIndex);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object() || map->empty())
    throw Error(Exit::kInput, path, "has no 'weight_map', which says in which file a tensor is");
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) throw Error(Exit::kInput, path, fmt::format("tensor '{}' is in {}, expected the name of a file", tensor, shard.dump()));
    const std::string name = shard;
    if (!is_plain(name)) throw Error(Exit::kInput, path, fmt::format("tensor '{}' is in {}, expected a file of this folder", tensor, shard.dump()));
    shards[name].insert(tensor);
  }
  return shards;
}

FolderWeights read_shards(const std::string& folder, const std::string& index, bool sums) {
  const std::string extension = index.starts_with("pytorch") ? ".bin" : ".safetensors";
  const auto shards = read_index(folder + "/" + index);
  std::vector<Error> errors;
  for (const auto& [name, tensors] : shards) {
    const std::string path = folder + "/" + name;
    if (!name.ends_with(extension)) errors.emplace_back(Exit::kInput, path, fmt::format("a shard of {}, expected a name that ends in {}", index, extension));
    else if (!exists(path)) errors.emplace_back(Exit::kInput, path, fmt::format("no such file; {} places {} of its tensors there", index, tensors.size()));
  }
  throw_errors(errors);
  FolderWeights weights;
  for (const auto& [name, expected] : shards) {
    const std::string path = folder + "/" + name;
    WeightFile file{name, ""};
    TensorFile held = read_one(path, file, sums);
    std::vector<std::string> missing, more;
    for (const std::string& tensor : expected)
      if (!held.tensors.count(tensor)) missing.push_back(tensor);
    for (const auto& [tensor, array] : held.tensors)
      if (!expected.count(tensor)) more.push_back(tensor);
    report(errors, path, missing, "missing that " + index + " places there");
    report(errors, path, more, "there that " + index + " does not place there");
    weights.tensors.merge(held.tensors);
    weights.files.push_back(std::move(file));
  }
  throw_errors(errors);
  return weights;
}

/// What from_pretrained's folders hold; nothing else is ever removed.
bool belongs(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (entry.is_symlink()) return false;
  if (entry.is_directory()) {
    if (name != "1_Pooling" && name != "2_Normalize" && name != "0_Transformer") return false;
    for (const fs::directory_entry& inner : fs::directory_iterator(entry.path()))
      if (inner.is_directory() || !belongs(inner)) return false;
    return true;
  }
  if (!entry.is_regular_file()) return false;
  const std::string extension = entry.path().extension().string();
  return extension == ".json" || extension == ".safetensors" || extension == ".bin" || name == "README.md" || name == "vocab.txt" || name == "merges.txt" ||
         name == ".gitattributes";
}

/// Absolute, symbolic links resolved, no slash at the end.
std::string folder_path(const std::string& path) {
  std::string folder = absolute(path);
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

/// Removes a folder unless it was put in place.
struct Temporary {
  std::string name;
  explicit Temporary(std::string name_) : name(std::move(name_)) {}
  ~Temporary() {
    std::error_code ignored;
    fs::remove_all(name, ignored);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
};

void sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);  // some network file systems cannot
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!done) throw Error(Exit::kResource, folder, fmt::format("cannot be synced: {}", std::strerror(error)));
}

/// Puts `fresh` in the place of `folder`, whose content goes to where `fresh` was: in one step where the file system can.
void exchange(const std::string& fresh, const std::string& folder, const std::string& path) {
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) return;
  const std::string aside = fresh + ".old";
  if (rename(folder.c_str(), aside.c_str()) == 0) {
    if (rename(fresh.c_str(), folder.c_str()) == 0) {
      const Temporary done(aside);
      return;
    }
    const int error = errno;
    (void)rename(aside.c_str(), folder.c_str());
    errno = error;
  }
  throw Error(Exit::kResource, path, fmt::format("cannot be put in place: {}", std::strerror(errno)));
}

}  // namespace

Json read_json(const std::string& path, std::int64_t cap) {
  if (!exists(path)) return nullptr;
  const std::string text = read_file(path, cap);
  if (format::too_deep(text.data(), text.size())) throw Error(Exit::kInput, path, fmt::format("JSON nested deeper than {}", format::kMaxDepth));
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto look = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    else if (event == Json::parse_event_t::object_end) keys.pop_back();
    else if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second && twice.empty()) twice = parsed;
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, look);
  } catch (const Json::exception& error) {
    throw Error(Exit::kInput, path, "is not JSON in UTF-8: " + core::json_problem(error));
  }
  if (!twice.empty()) throw Error(Exit::kInput, path, fmt::format("'{}' is there twice in one object", twice));
  return json;
}

FolderWeights read_folder_weights(const std::string& folder, bool sums) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    const std::string path = folder + "/" + name;
    if (!exists(path)) continue;
    if (path.ends_with(".json")) return read_shards(folder, name, sums);
    FolderWeights weights;
    weights.files.push_back({name, ""});
    weights.tensors = read_one(path, weights.files.front(), sums).tensors;
    return weights;
  }
  throw Error(Exit::kInput, folder, "has no weights: neither model.safetensors nor pytorch_model.bin, nor an index of shards");
}

std::vector<std::string> write_folder_weights(const std::string& folder, const std::map<std::string, Array>& tensors, std::int64_t shard_bytes,
                                              const std::string& stem) {
  std::vector<TensorFile> shards(1);
  std::int64_t size = 0, total = 0;
  for (const auto& [name, array] : tensors) {
    const auto bytes = static_cast<std::int64_t>(array.bytes());
    if (!shards.back().tensors.empty() && size + bytes > shard_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().tensors.emplace(name, array);
    size += bytes;
    total += bytes;
  }
  std::vector<std::string> names;
  Json map = Json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shards.size() == 1 ? stem + ".safetensors" : fmt::format("{}-{:05}-of-{:05}.safetensors", stem, i + 1, shards.size());
    shards[i].metadata = {{"format", "pt"}};
    write_safetensors(folder + "/" + name, shards[i], false);
    for (const auto& [tensor, array] : shards[i].tensors) map[tensor] = name;
    names.push_back(name);
  }
  if (shards.size() == 1) return names;
  names.push_back(stem + ".safetensors.index.json");
  write_file(folder + "/" + names.back(), Json{{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}}.dump(2) + "\n");
  return names;
}

void check_folder_output(const std::string& path, bool overwrite) {
  const std::string folder = folder_path(path);
  struct stat status {};
  if (lstat(folder.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) throw Error(Exit::kUsage, path, "exists and is no folder");
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (!overwrite) throw Error(Exit::kUsage, path, "exists and is not empty", "-f replaces a model's folder");
      if (!belongs(entry))
        throw Error(Exit::kUsage, path, fmt::format("has '{}', which no model's folder has", entry.path().filename().string()),
                    "name another folder, or empty this one");
    }
  }
  const std::string parent = fs::path(folder).parent_path().string();
  if (!fs::is_directory(parent)) throw Error(Exit::kResource, path, fmt::format("folder '{}' does not exist", parent));
  if (const std::string problem = creation_problem(parent); !problem.empty()) throw Error(Exit::kResource, path, "cannot be written: " + problem);
}

void replace_folder(const std::string& path, bool overwrite, const std::function<void(const std::string& temporary)>& fill) {
  check_folder_output(path, overwrite);
  const std::string folder = folder_path(path), parent = fs::path(folder).parent_path().string();
  const std::string name = fmt::format("{}/.{}.{}.tmp", parent, fs::path(folder).filename().string().substr(0, 200), getpid());
  if (mkdir(name.c_str(), 0777) != 0) throw Error(Exit::kResource, path, fmt::format("cannot be written: {}", std::strerror(errno)));
  const Temporary temporary(name);
  fill(name);
  sync_folder(name);
  if (rename(name.c_str(), folder.c_str()) != 0) {  // done where nothing or an empty folder is there
    const int error = errno;
    if (!overwrite || (error != ENOTEMPTY && error != EEXIST))
      throw Error(error == ENOTEMPTY || error == EEXIST ? Exit::kUsage : Exit::kResource, path,
                  fmt::format("cannot be put in place: {}", std::strerror(error)));
    check_folder_output(path, overwrite);
    exchange(name, folder, path);
  }
  sync_folder(parent);
}

}  // namespace ds::io
