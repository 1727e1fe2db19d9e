#include "base/catalog/dataset/folder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/image.h"
#include "engine/data/assemble.h"
#include "engine/data/sets/class_folders.h"

namespace ds::data::sets::folder {

namespace {

using Options = catalog::dataset::folder::Options;

constexpr std::size_t kMostNamed = 10;  ///< bad pictures, of which there may be thousands

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
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
  void settle(const ClassFiles& pictures) {
    if (fit_.height > 0) return;
    for (const ClassFile& picture : pictures) {
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

  Split read(const ClassFiles& pictures) {
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
        const ClassFile& picture = pictures[static_cast<std::size_t>(i)];
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
  const ClassFolders files = read_class_folders(folder, {"pictures", {".png", ".jpg", ".jpeg"}, "add .png, .jpg or .jpeg files, or remove the folder"});
  Dataset set;
  set.labels = files.labels;
  set.num_classes = static_cast<std::int64_t>(set.labels.size());
  reader.settle(files.train);
  set.train = reader.read(files.train);
  set.val = reader.read(files.val);
  set.test = reader.read(files.test);
  reader.check();
  set.preprocessing = Json::object();
  return set;
}

const core::Body<LoadDataset> body{"dataset", "folder", load};

}  // namespace

}  // namespace ds::data::sets::folder
