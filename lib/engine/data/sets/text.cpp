#include "base/catalog/dataset/text.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/text/unicode.h"
#include "engine/data/assemble.h"
#include "engine/data/sets/class_folders.h"

namespace ds::data::sets::text_files {

namespace fs = std::filesystem;

namespace {

using Options = catalog::dataset::text::Options;

constexpr std::int64_t kMostBytes = std::int64_t{1} << 32;  ///< of one file

const FileKind& texts() {
  static const FileKind kind{"texts", {".txt"}, "add .txt files, or remove the folder"};
  return kind;
}

/// A file without its byte order mark.
std::string read_text(const std::string& path) {
  std::string bytes = io::read_file(path, kMostBytes);
  if (const std::size_t bad = text::find_invalid_utf8(bytes); bad != std::string::npos)
    throw Error(Exit::kInput, path, fmt::format("byte {} is no UTF-8", bad), "convert it, as with iconv -t UTF-8");
  if (const std::size_t nul = bytes.find('\0'); nul != std::string::npos) throw Error(Exit::kInput, path, fmt::format("byte {} is a NUL, expected text", nul));
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  return bytes;
}

void set_labels(Split& split, const std::vector<std::int64_t>& labels) {
  if (labels.empty()) return;
  split.labels = at::empty({static_cast<std::int64_t>(labels.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(labels.begin(), labels.end(), split.labels.mutable_data_ptr<std::int64_t>());
}

Split read(const ClassFiles& files) {
  Split split;
  std::vector<std::int64_t> labels;
  for (const ClassFile& file : files) {
    split.texts.push_back(read_text(file.path));
    labels.push_back(file.label);
  }
  set_labels(split, labels);
  return split;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

/// A file a class, a line a text: which split a line goes to its own bytes say.
Dataset from_lines(const std::string& folder, const std::vector<std::string>& files) {
  if (files.size() < 2) throw Error(Exit::kInput, folder, fmt::format("has {} texts, expected a file for each of 2 classes or more", files.size()));
  Dataset set;
  std::vector<std::int64_t> labels[3];
  Split* splits[] = {&set.train, &set.val, &set.test};
  for (const std::string& name : files) {
    const std::string path = (fs::path(folder) / name).string();
    const auto label = static_cast<std::int64_t>(set.labels.size());
    set.labels.push_back(fs::path(name).stem().string());
    const std::size_t before = set.train.texts.size();
    for (std::string& line : lines_of(read_text(path))) {
      const unsigned long place = tenth(line);
      const std::size_t split = place == 8 ? 1 : place == 9 ? 2 : 0;
      splits[split]->texts.push_back(std::move(line));
      labels[split].push_back(label);
    }
    if (set.train.texts.size() == before) throw Error(Exit::kInput, path, "has no line to train on");
  }
  for (std::size_t i = 0; i < 3; ++i) set_labels(*splits[i], labels[i]);
  return set;
}

/// The end of the line that has byte `at`.
std::size_t line_end(const std::string& text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  return end == std::string::npos ? text.size() : end + 1;
}

Dataset from_file(const std::string& file, bool packed) {
  const std::string text = read_text(file);
  const std::size_t first = line_end(text, text.size() / 10 * 8), second = line_end(text, std::max(first, text.size() / 10 * 9));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) throw Error(Exit::kInput, file, "has no text");
  Dataset set;
  if (!packed) {
    set.train.texts = lines_of(text.substr(0, first));
    set.val.texts = lines_of(text.substr(first, second - first));
    set.test.texts = lines_of(text.substr(second));
    return set;
  }
  set.train.texts = {text.substr(0, first)};
  if (second > first) set.val.texts = {text.substr(first, second - first)};
  if (second < text.size()) set.test.texts = {text.substr(second)};
  return set;
}

Dataset from_folder(const std::string& folder) {
  const Listing listing = list_folder(folder, texts());
  if (listing.folders.empty() && !listing.files.empty()) return from_lines(folder, listing.files);
  const ClassFolders files = read_class_folders(folder, texts());
  Dataset set;
  set.labels = files.labels;
  set.train = read(files.train);
  set.val = read(files.val);
  set.test = read(files.test);
  return set;
}

/// Texts of all classes as texts alone.
void forget_classes(Dataset& set) {
  set.labels.clear();
  for (Split* split : {&set.train, &set.val, &set.test}) split->labels.reset();
}

Dataset load(const std::string& rest, const core::Options& given) {
  const auto [path, text] = split_options(rest);
  Options options = static_cast<const Options&>(given);
  read_options("text", text, options);
  if (path.empty()) throw Error(Exit::kUsage, "data", "'text' without a folder or file", "give text:DIR or text:FILE");
  if (!io::exists(path)) throw Error(Exit::kInput, path, "no such file or folder");
  const bool folder = fs::is_directory(path);
  if (options.task == "auto") options.task = folder ? "class" : "causal-lm";
  const bool classes = options.task == "class" || options.task == "embedding";
  if (classes && !folder)
    throw Error(Exit::kUsage, "data", fmt::format("text: task={} of one file '{}', expected a folder", options.task, path),
                "a class is a folder, or a file in a folder");
  if (classes && options.pack == "no") throw Error(Exit::kUsage, "data", "text: pack is for language models", "texts with a class are never packed");
  Dataset set = folder ? from_folder(path) : from_file(path, options.pack == "yes");
  if (!classes) forget_classes(set);
  set.train.tokens.target = options.task == "class"       ? Target::kClass
                            : options.task == "embedding" ? Target::kNear
                            : options.task == "causal-lm" ? Target::kNext
                                                          : Target::kMasked;
  set.num_classes = static_cast<std::int64_t>(set.labels.size());
  set.preprocessing = {{"kind", "text"}};
  if (options.length > 0) set.preprocessing["max_length"] = options.length;
  if (options.pack == "no") set.preprocessing["packed"] = false;
  return set;
}

const core::Body<LoadDataset> body{"dataset", "text", load};

}  // namespace

}  // namespace ds::data::sets::text_files
