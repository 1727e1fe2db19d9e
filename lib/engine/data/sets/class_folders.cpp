#include "engine/data/sets/class_folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"

namespace ds::data::sets {

namespace fs = std::filesystem;

namespace class_folders {

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
}

bool is_of_kind(const std::string& name, const FileKind& kind) {
  std::string end = fs::path(name).extension().string();
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return std::find(kind.ends.begin(), kind.ends.end(), end) != kind.ends.end();
}

std::vector<std::string> classes_of(const std::string& folder, const FileKind& kind) {
  Listing listing = list_folder(folder, kind);
  if (!listing.files.empty())
    refuse(folder, fmt::format("has '{}' beside its folders, expected {} in a folder a class", listing.files[0], kind.plural));
  return std::move(listing.folders);
}

/// The files of all classes in `folder`, class by class.
ClassFiles files_of(const std::string& folder, const std::vector<std::string>& classes, bool all, const FileKind& kind) {
  ClassFiles files;
  for (const std::string& name : classes_of(folder, kind)) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    const std::string path = (fs::path(folder) / name).string();
    if (found == classes.end()) refuse(path, "is a class that train does not have");
    const Listing listing = list_folder(path, kind);
    if (!listing.folders.empty())
      refuse(path, fmt::format("has a folder '{}', expected {} alone: a folder is a class", listing.folders[0], kind.plural));
    if (listing.files.empty() && all) refuse(path, fmt::format("is a class without {}", kind.plural), kind.hint);
    for (const std::string& file : listing.files) files.push_back({(fs::path(path) / file).string(), found - classes.begin()});
  }
  return files;
}

/// What goes to each split: the given files by their tenth.
void take(ClassFiles& from, ClassFiles& to, unsigned long wanted) {
  const auto stays = [&](const ClassFile& file) { return tenth(fs::path(file.path).filename().string()) != wanted; };
  const auto rest = std::stable_partition(from.begin(), from.end(), stays);
  to.assign(rest, from.end());
  from.erase(rest, from.end());
}

}  // namespace class_folders

Listing list_folder(const std::string& folder, const FileKind& kind) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name[0] == '.') continue;
    std::error_code broken;  // a link to nowhere or to itself: no folder; as a file it is told where it is read
    if (fs::is_directory(entries->path(), broken))
      listing.folders.push_back(name);
    else if (class_folders::is_of_kind(name, kind))
      listing.files.push_back(name);
  }
  if (error) class_folders::refuse(folder, "cannot be listed: " + error.message());
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.files.begin(), listing.files.end());
  return listing;
}

unsigned long tenth(const std::string& name) { return std::stoul(io::xxh3_128(name.data(), name.size()).substr(0, 8), nullptr, 16) % 10; }

ClassFolders read_class_folders(const std::string& folder, const FileKind& kind) {
  using namespace class_folders;
  if (!io::exists(folder)) refuse(folder, "no such folder");
  if (!fs::is_directory(folder)) refuse(folder, "not a folder");
  const auto below = [&folder](const char* name) { return (fs::path(folder) / name).string(); };
  const bool split = io::exists(below("train"));
  ClassFolders found;
  found.labels = classes_of(split ? below("train") : folder, kind);
  if (found.labels.size() < 2) refuse(folder, fmt::format("has {} folders of classes, expected 2 or more", found.labels.size()));
  found.train = files_of(split ? below("train") : folder, found.labels, true, kind);
  if (split && io::exists(below("val")))
    found.val = files_of(below("val"), found.labels, false, kind);
  else
    take(found.train, found.val, 8);
  if (split && io::exists(below("test"))) found.test = files_of(below("test"), found.labels, false, kind);
  if (!split) take(found.train, found.test, 9);
  if (found.train.empty())
    refuse(folder, fmt::format("has no {} to train on, but {} in other splits", kind.plural, found.val.size() + found.test.size()), "add some");
  return found;
}

}  // namespace ds::data::sets
