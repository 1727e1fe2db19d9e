// A folder a class, below DIR or DIR/{train,val,test}: which files there are, of which class and in which split.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ds::data::sets {

struct ClassFile {
  std::string path;
  std::int64_t label = 0;
};
using ClassFiles = std::vector<ClassFile>;

/// What the files are called, in messages, and how their names end (in small letters, with the dot). Others are left out.
struct FileKind {
  std::string plural;
  std::vector<std::string> ends;
  std::string hint;  ///< what to do about a class without any
};

struct ClassFolders {
  std::vector<std::string> labels;  ///< the folders' names, sorted by bytes
  ClassFiles train, val, test;      ///< class by class, within one by name
};

/// Names of what is in a folder and not hidden, sorted by bytes: folders, and files of the kind. The rest is left out.
struct Listing {
  std::vector<std::string> folders, files;
};
Listing list_folder(const std::string& folder, const FileKind& kind);

/// 0 to 9 by a hash of `name` alone: adding, removing and moving others leaves it where it is. 8 is validation, 9 is test.
unsigned long tenth(const std::string& name);

/// What is split off by the file's name where there is no folder for it: of DIR 10 % val and 10 % test, of DIR/train 10 % val.
/// Throws ds::Error(kInput): no such folder, fewer than two classes, files beside the folders, a class that train does not have or without
/// files, nothing to train on.
ClassFolders read_class_folders(const std::string& folder, const FileKind& kind);

}  // namespace ds::data::sets
