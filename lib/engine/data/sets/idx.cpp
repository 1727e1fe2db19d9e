#include "engine/data/sets/idx.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "engine/data/assemble.h"
#include "engine/data/pixels.h"

namespace ds::data::sets::idx {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
}

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

struct File {
  std::string path, bytes;
  std::vector<std::int64_t> dims;
  const char* values() const { return bytes.data() + 4 + 4 * dims.size(); }
};

/// Reads and checks the header against the size, before anything is allocated by what the header says.
File read(const std::string& path, std::size_t rank) {
  File file{path, io::read_file(path), {}};
  const std::size_t header = 4 + 4 * rank;
  if (file.bytes.size() < header) refuse(path, fmt::format("{} bytes, expected a header of {}", file.bytes.size(), header));
  const std::uint32_t magic = big_endian(file.bytes, 0), expected = 0x800u + std::uint32_t(rank);
  if (magic != expected) {
    const bool packed = magic >> 16 == 0x1f8b;
    refuse(path, fmt::format("magic number 0x{:08x}, expected 0x{:08x}", magic, expected), packed ? "unpack it with gunzip first" : "");
  }
  unsigned __int128 size = 1;
  std::string shape;
  for (std::size_t i = 0; i < rank; ++i) {
    file.dims.push_back(big_endian(file.bytes, 4 + 4 * i));
    size *= std::uint64_t(file.dims.back());
    shape += (i ? "x" : "") + std::to_string(file.dims.back());
  }
  if (file.dims[0] == 0) refuse(path, rank == 3 ? "holds no images" : "holds no labels");
  for (std::size_t i = 1; i < rank; ++i) {
    if (file.dims[i] < 1 || file.dims[i] > 65536)
      refuse(path, fmt::format("images of {}x{}, expected sides of 1 to 65536", file.dims[1], file.dims[2]));
  }
  if (file.bytes.size() - header != size) {
    refuse(path, fmt::format("{} bytes, expected {} as its header says ({})", file.bytes.size(), std::uint64_t(size) + header, shape));
  }
  return file;
}

at::Tensor read_images(const std::string& path) {
  const File file = read(path, 3);
  at::Tensor images = at::empty({file.dims[0], 1, file.dims[1], file.dims[2]}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(images.mutable_data_ptr(), file.values(), images.nbytes());
  return images;
}

at::Tensor read_labels(const std::string& path) {
  const File file = read(path, 1);
  at::Tensor labels = at::empty({file.dims[0]}, at::TensorOptions().dtype(at::kLong));
  auto* out = labels.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < file.dims[0]; ++i) out[i] = static_cast<unsigned char>(file.values()[i]);
  return labels;
}

/// The path of the first name there is, or "".
std::string find(const std::string& folder, const std::vector<std::string>& prefixes, const std::string& kind) {
  for (const std::string& prefix : prefixes) {
    for (const char* separator : {"-", "."}) {
      const std::string path = (fs::path(folder) / (prefix + "-" + (kind == "images" ? "images" : "labels") + separator +
                                                    (kind == "images" ? "idx3-ubyte" : "idx1-ubyte")))
                                   .string();
      if (io::exists(path)) return path;
    }
  }
  return "";
}

struct Files {
  std::string labels;
  Split split;
};

Files read_split(const std::string& folder, const std::vector<std::string>& prefixes, bool required) {
  const std::string images = find(folder, prefixes, "images"), labels = find(folder, prefixes, "labels");
  if (images.empty() && labels.empty() && !required) return {};
  if (images.empty() || labels.empty()) {
    const std::string name = prefixes[0] + (images.empty() ? "-images-idx3-ubyte" : "-labels-idx1-ubyte");
    refuse(folder, fmt::format("has no {}", name),
           io::exists(fs::path(folder) / (name + ".gz")) ? fmt::format("unpack {}.gz with gunzip first", name) : "");
  }
  Files files{labels, {read_images(images), read_labels(labels)}};
  if (files.split.images.size(0) != files.split.size()) {
    refuse(labels, fmt::format("{} labels, expected {} as there are images in {}", files.split.size(), files.split.images.size(0), images));
  }
  return files;
}

/// Takes what dataset.json states.
void read_description(const std::string& path, Dataset& set) {
  const Json document = Json::parse(io::read_file(path, 1 << 20), nullptr, false);
  if (!document.is_object()) refuse(path, "is not a JSON object");
  if (const auto classes = document.find("num_classes"); classes != document.end()) {
    if (!classes->is_number_integer() || *classes < 1 || *classes > 256)
      refuse(path, fmt::format("num_classes {}, expected 1 to 256", classes->dump()));
    set.num_classes = *classes;
  }
  if (const auto labels = document.find("labels"); labels != document.end()) {
    if (!labels->is_array()) refuse(path, fmt::format("labels are {}, expected a list of strings", labels->type_name()));
    for (const Json& label : *labels) {
      if (!label.is_string()) refuse(path, fmt::format("label {}, expected a string", label.dump()));
      set.labels.push_back(label);
    }
    if (set.num_classes == 0) set.num_classes = std::int64_t(set.labels.size());
    if (std::int64_t(set.labels.size()) != set.num_classes) refuse(path, fmt::format("{} labels, expected {}", set.labels.size(), set.num_classes));
  }
  for (const char* key : {"shape", "scale", "mean", "std"}) {
    if (document.contains(key)) set.preprocessing[key] = document[key];
  }
  // What is left out is worked out later; a stand-in checks the rest now, while the file's name is known.
  Json whole = {{"shape", set.train.images.sizes().slice(1).vec()}, {"scale", 1}, {"mean", {0}}, {"std", {1}}};
  whole.update(set.preprocessing);
  const Pixels pixels(whole, path);
  const auto shape = set.train.images.sizes();
  if (pixels.channels != shape[1] || pixels.height != shape[2] || pixels.width != shape[3]) {
    refuse(path, fmt::format("shape {}, expected [{},{},{}] as the images have", whole["shape"].dump(), shape[1], shape[2], shape[3]));
  }
}

}  // namespace

Dataset read_folder(const std::string& folder) {
  if (!io::exists(folder)) refuse(folder, "no such folder");
  if (!fs::is_directory(folder)) refuse(folder, "not a folder");
  Dataset set;
  const Files train = read_split(folder, {"train"}, true), val = read_split(folder, {"val"}, false),
              test = read_split(folder, {"test", "t10k"}, false);
  set.train = train.split;
  set.val = val.split;
  set.test = test.split;
  set.preprocessing = Json::object();
  const std::string description = (fs::path(folder) / "dataset.json").string();
  if (io::exists(description)) read_description(description, set);
  if (set.num_classes == 0) set.num_classes = set.train.labels.max().item<std::int64_t>() + 1;
  if (set.labels.empty()) set.labels = numbered(set.num_classes);
  for (const Files* files : {&train, &val, &test}) {
    if (files->split.size() == 0) continue;
    check_labels(files->split.labels, set.num_classes, files->labels);
    const auto shape = files->split.images.sizes().slice(1), expected = set.train.images.sizes().slice(1);
    if (shape != expected) refuse(folder, fmt::format("images of {}x{}, expected {}x{} as in train", shape[1], shape[2], expected[1], expected[2]));
  }
  if (set.val.size() == 0) hold_out(set);
  return set;
}

Dataset read_home(const std::string& name, const std::string& rest) {
  if (!rest.empty()) throw Error(Exit::kUsage, "data", fmt::format("'{}:{}'", name, rest), fmt::format("{} takes nothing behind its name", name));
  const std::string folder = (fs::path(io::home()) / "data" / name).string();
  if (!io::exists(fs::path(folder) / "dataset.json")) {
    refuse(folder, fmt::format("data set '{}' is not there", name), "run scripts/setup.sh, with the same DS_HOME or XDG_CACHE_HOME as now");
  }
  return read_folder(folder);
}

namespace {

Dataset load(const std::string& rest, const core::Options&) {
  if (rest.empty()) throw Error(Exit::kUsage, "data", "'idx' without a folder", "give idx:DIR");
  return read_folder(rest);
}

const core::Body<LoadDataset> body{"dataset", "idx", load};

}  // namespace

}  // namespace ds::data::sets::idx
