#include "engine/data/sets/cifar.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "engine/data/assemble.h"

namespace ds::data::sets::cifar {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSide = 32, kPixels = 3 * kSide * kSide;

/// Files have no header: what can be checked is that they hold whole records and, as parts of one split, equally many.
Split read_files(const std::vector<std::string>& paths, const std::vector<std::int64_t>& classes) {
  const auto bytes_of_labels = std::int64_t(classes.size()), record = bytes_of_labels + kPixels;
  Split split;
  std::int64_t each = 0, done = 0;
  for (const std::string& path : paths) {
    const std::string bytes = io::read_file(path);
    const auto size = std::int64_t(bytes.size());
    if (size == 0) throw Error(Exit::kInput, path, "holds no images");
    if (size % record != 0) throw Error(Exit::kInput, path, fmt::format("{} bytes, expected a multiple of {}", size, record));
    if (each == 0) {
      each = size / record;
      const std::int64_t n = each * std::int64_t(paths.size());
      split.images = at::empty({n, 3, kSide, kSide}, at::TensorOptions().dtype(at::kByte));
      split.labels = at::empty({n}, at::TensorOptions().dtype(at::kLong));
    }
    if (size != each * record) throw Error(Exit::kInput, path, fmt::format("{} bytes, expected {} as in {}", size, each * record, paths[0]));
    auto* images = split.images.mutable_data_ptr<std::uint8_t>();
    auto* labels = split.labels.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < each; ++i, ++done) {
      const char* from = bytes.data() + i * record;
      for (std::int64_t k = 0; k < bytes_of_labels; ++k) {
        const std::int64_t label = static_cast<unsigned char>(from[k]);
        if (label >= classes[std::size_t(k)]) {
          throw Error(Exit::kInput, path, fmt::format("label {} of sample {}, expected 0 to {}", label, i, classes[std::size_t(k)] - 1));
        }
        labels[done] = label;
      }
      std::memcpy(images + done * kPixels, from + bytes_of_labels, kPixels);
    }
  }
  return split;
}

}  // namespace

Dataset read(const std::string& folder, const Layout& layout, std::vector<std::string> names) {
  if (folder.empty()) throw Error(Exit::kUsage, "data", fmt::format("'{}' without a folder", layout.name), fmt::format("give {}:DIR", layout.name));
  if (!io::exists(folder)) throw Error(Exit::kInput, folder, "no such folder");
  if (!fs::is_directory(folder)) throw Error(Exit::kInput, folder, "not a folder");
  fs::path place = folder;
  if (!io::exists(place / layout.train[0]) && fs::is_directory(place / layout.archive)) place /= layout.archive;
  std::vector<std::string> train;
  for (const std::string& name : layout.train) train.push_back((place / name).string());
  const std::string test = (place / layout.test).string();
  for (const std::string& name : layout.train) {
    if (!io::exists(place / name))
      throw Error(Exit::kInput, place.string(), fmt::format("has no {}", name), "unpack the binary version of the archive there");
  }
  if (!io::exists(test))
    throw Error(Exit::kInput, place.string(), fmt::format("has no {}", layout.test), "unpack the binary version of the archive there");
  Dataset set;
  set.num_classes = layout.classes.back();
  set.labels = read_names((place / layout.names).string(), std::move(names));
  set.preprocessing = Json::object();
  set.train = read_files(train, layout.classes);
  set.test = read_files({test}, layout.classes);
  hold_out(set);
  return set;
}

}  // namespace ds::data::sets::cifar
