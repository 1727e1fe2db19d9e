#include "base/catalog/dataset/folder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/image.h"
#include "engine/data/assemble.h"

namespace ds::data::sets::folder {

namespace fs = std::filesystem;

namespace {

using Options = catalog::dataset::folder::Options;

constexpr std::size_t kMostNamed = 10;  ///< bad pictures, of which there may be thousands

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
}

struct Picture {
  std::string path;
  std::int64_t label = 0;
};
using Pictures = std::vector<Picture>;

bool is_picture(const std::string& name) {
  std::string end = fs::path(name).extension().string();
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return end == ".png" || end == ".jpg" || end == ".jpeg";
}

/// Names of what is in a folder and not hidden, sorted by bytes: folders, and pictures by their names' ends. The rest is left out.
struct Listing {
  std::vector<std::string> folders, pictures;
};

Listing list(const std::string& folder) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name[0] == '.') continue;
    std::error_code broken;  // a link to nowhere or to itself: no folder; as a picture it is told where it is read
    if (fs::is_directory(entries->path(), broken))
      listing.folders.push_back(name);
    else if (is_picture(name))
      listing.pictures.push_back(name);
  }
  if (error) refuse(folder, "cannot be listed: " + error.message());
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.pictures.begin(), listing.pictures.end());
  return listing;
}

std::vector<std::string> classes_of(const std::string& folder) {
  Listing listing = list(folder);
  if (!listing.pictures.empty())
    refuse(folder, fmt::format("has '{}' beside its folders, expected pictures in a folder a class", listing.pictures[0]));
  return std::move(listing.folders);
}

/// The pictures of all classes in `folder`, class by class.
Pictures pictures_of(const std::string& folder, const std::vector<std::string>& classes, bool all) {
  Pictures pictures;
  for (const std::string& name : classes_of(folder)) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    const std::string path = (fs::path(folder) / name).string();
    if (found == classes.end()) refuse(path, "is a class that train does not have");
    const Listing listing = list(path);
    if (!listing.folders.empty()) refuse(path, fmt::format("has a folder '{}', expected pictures alone: a folder is a class", listing.folders[0]));
    if (listing.pictures.empty() && all) refuse(path, "is a class without pictures", "add .png, .jpg or .jpeg files, or remove the folder");
    for (const std::string& picture : listing.pictures) pictures.push_back({(fs::path(path) / picture).string(), found - classes.begin()});
  }
  return pictures;
}

/// 0 to 9 by the file's name alone: adding, removing and moving other files leaves a picture in its split.
unsigned long tenth(const Picture& picture) {
  const std::string name = fs::path(picture.path).filename().string();
  return std::stoul(io::xxh3_128(name.data(), name.size()).substr(0, 8), nullptr, 16) % 10;
}

/// What goes to each split: the given pictures by their tenth.
void take(Pictures& from, Pictures& to, unsigned long wanted) {
  const auto rest = std::stable_partition(from.begin(), from.end(), [&](const Picture& picture) { return tenth(picture) != wanted; });
  to.assign(rest, from.end());
  from.erase(rest, from.end());
}

/// Reads pictures at one size and gathers what is wrong with them.
class Reader {
 public:
  Reader(const std::string& folder, const Options& options) : folder_(folder), channels_(options.channels) {
    if (channels_ == 2) throw Error(Exit::kUsage, "data", "folder: channels=2, expected 1 for grey or 3 for colour");
    if (options.size.empty()) return;
    const std::size_t times = options.size.find('x');
    fit_.height = read_integer("folder", "size", options.size.substr(0, times));
    fit_.width = times == std::string::npos ? fit_.height : read_integer("folder", "size", options.size.substr(times + 1));
    if (std::min(fit_.height, fit_.width) < 1 || std::max(fit_.height, fit_.width) > 4096)
      throw Error(Exit::kUsage, "data", fmt::format("folder: size={}, expected sides of 1 to 4096", options.size));
  }

  /// The size of the first picture that can be read, where none was given.
  void settle(const Pictures& pictures) {
    if (fit_.height > 0) return;
    for (const Picture& picture : pictures) {
      try {
        const io::Image image = io::read_image(picture.path, 1);
        fit_.height = image.height;
        fit_.width = image.width;
        first_ = picture.path;
        return;
      } catch (const Error& e) {
        if (e.code() != Exit::kInput) throw;
      }
    }
    fit_.height = fit_.width = 1;  // of no account: each is told to be bad
  }

  Split read(const Pictures& pictures) {
    Split split;
    if (pictures.empty()) return split;
    const auto n = static_cast<std::int64_t>(pictures.size()), size = fit_.height * fit_.width;
    split.images = at::empty({n, channels_, fit_.height, fit_.width}, at::TensorOptions().dtype(at::kByte));
    split.labels = at::empty({n}, at::TensorOptions().dtype(at::kLong));
    auto* bytes = split.images.mutable_data_ptr<std::uint8_t>();
    auto* labels = split.labels.mutable_data_ptr<std::int64_t>();
    std::vector<std::vector<Error>> wrong(pictures.size());
    at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Picture& picture = pictures[static_cast<std::size_t>(i)];
        labels[i] = picture.label;
        try {
          put(picture.path, bytes + i * channels_ * size);
        } catch (const Error& e) {
          if (e.code() != Exit::kInput) throw;
          wrong[static_cast<std::size_t>(i)].push_back(e);
        }
      }
    });
    for (const std::vector<Error>& errors : wrong) errors_.insert(errors_.end(), errors.begin(), errors.end());
    return split;
  }

  /// Throws what was wrong, at most ten pictures by name.
  void check() const {
    std::vector<Error> errors(errors_.begin(), errors_.begin() + static_cast<std::ptrdiff_t>(std::min(errors_.size(), kMostNamed)));
    if (errors_.size() > kMostNamed) errors.emplace_back(Exit::kInput, folder_, fmt::format("{} more pictures are bad", errors_.size() - kMostNamed));
    throw_errors(errors);
  }

 private:
  /// One picture as planes [channels, height, width].
  void put(const std::string& path, std::uint8_t* to) const {
    io::Image image = io::read_image(path, static_cast<int>(channels_));
    if (first_.empty())
      image = io::fit_image(image, fit_);
    else if (image.height != fit_.height || image.width != fit_.width)
      refuse(path, fmt::format("is of {}x{} pixels, {} is of {}x{}", image.width, image.height, first_, fit_.width, fit_.height),
             fmt::format("give a size, as folder:{}?size={}", folder_, fit_.height));
    for (std::int64_t c = 0; c < channels_; ++c)
      for (std::int64_t p = 0; p < fit_.height * fit_.width; ++p) *to++ = image.pixels[static_cast<std::size_t>(p * channels_ + c)];
  }

  std::string folder_, first_;
  std::int64_t channels_;
  io::Fit fit_;
  std::vector<Error> errors_;
};

Dataset load(const std::string& rest, const core::Options& given) {
  const auto [folder, text] = split_options(rest);
  Options options = static_cast<const Options&>(given);
  read_options("folder", text, options);
  if (folder.empty()) throw Error(Exit::kUsage, "data", "'folder' without a folder", "give folder:DIR");
  Reader reader(folder, options);
  if (!io::exists(folder)) refuse(folder, "no such folder");
  if (!fs::is_directory(folder)) refuse(folder, "not a folder");
  const auto below = [&folder = folder](const char* name) { return (fs::path(folder) / name).string(); };
  const bool split = io::exists(below("train"));
  Dataset set;
  set.labels = classes_of(split ? below("train") : folder);
  set.num_classes = static_cast<std::int64_t>(set.labels.size());
  if (set.num_classes < 2) refuse(folder, fmt::format("has {} folders of classes, expected 2 or more", set.num_classes));
  Pictures train = pictures_of(split ? below("train") : folder, set.labels, true), val, test;
  if (split && io::exists(below("val")))
    val = pictures_of(below("val"), set.labels, false);
  else
    take(train, val, 8);
  if (split && io::exists(below("test"))) test = pictures_of(below("test"), set.labels, false);
  if (!split) take(train, test, 9);
  if (train.empty()) refuse(folder, fmt::format("has no pictures to train on, but {} in other splits", val.size() + test.size()), "add some");
  reader.settle(train);
  set.train = reader.read(train);
  set.val = reader.read(val);
  set.test = reader.read(test);
  reader.check();
  set.preprocessing = Json::object();
  return set;
}

const core::Body<LoadDataset> body{"dataset", "folder", load};

}  // namespace

}  // namespace ds::data::sets::folder
