#include "base/commands/convert_looks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/commands/convert_formats.h"
#include "base/commands/convert_hf.h"
#include "base/core/error.h"
#include "base/io/checkpoint_format.h"
#include "base/io/hf_folder.h"

namespace ds::commands {
namespace looks {

constexpr std::size_t kMostText = 200;  ///< bytes of a text that is shown; a graph is longer

struct Weights {
  io::TensorFile file;
  io::Json parts = io::Json::array();  ///< files of a folder
};

Weights open(const std::string& path, bool sums) {
  Weights weights;
  if (!is_folder_name(path)) {
    weights.file = io::read_tensors(path, sums);
    return weights;
  }
  io::FolderWeights folder = io::read_folder_weights(path, sums);
  weights.file.tensors = std::move(folder.tensors);
  for (const io::WeightFile& file : folder.files) weights.parts.push_back(file.name);
  return weights;
}

std::string table(const io::Json& rows) {
  std::size_t width = 6;
  for (const io::Json& row : rows) width = std::max(width, row["name"].get<std::string>().size());
  std::string text = fmt::format("{:<{}}  {:<9} {:>12}  shape\n", "tensor", width, "dtype", "bytes");
  for (const io::Json& row : rows)
    text += fmt::format("{:<{}}  {:<9} {:>12}  {}\n", row["name"].get<std::string>(), width, row["dtype"].get<std::string>(), row["bytes"].dump(),
                        row["shape"].dump());
  return text;
}

}  // namespace looks

bool is_weights_name(const std::string& path) { return io::tensor_format(path) != io::TensorFormat::kNone || is_folder_name(path); }

io::Checkpoint read_weights(const std::string& path, bool sums) {
  const io::TensorFile file = looks::open(path, sums).file;
  io::Checkpoint checkpoint;
  checkpoint.tensors = file.tensors;
  checkpoint.path = io::absolute(path);
  if (!is_own(file)) return checkpoint;
  for (const io::format::Document& document : io::format::kDocuments)
    if (const auto found = file.metadata.find(std::string("ds.") + document.name); found != file.metadata.end())
      checkpoint.*document.member = io::format::parse_document(found->second.data(), found->second.size(), path + ": " + found->first);
  if (const auto digest = file.metadata.find("ds.digest"); digest != file.metadata.end()) checkpoint.digest = digest->second;
  return checkpoint;
}

void inspect_weights(const ConvertCommand& options, core::Record& record) {
  const std::string& path = options.inputs[0];
  const looks::Weights weights = looks::open(path, false);
  const auto& metadata = weights.file.metadata;
  record.input("weights", io::absolute(path), metadata.count("ds.digest") ? metadata.at("ds.digest") : "");
  record["format"] = is_folder_name(path) ? "folder" : std::filesystem::path(path).extension().string().substr(1);
  io::Json rows = io::Json::array(), texts = io::Json::object();
  std::int64_t bytes = 0, elements = 0;
  for (const auto& [name, array] : weights.file.tensors) {
    rows.push_back({{"name", name}, {"dtype", io::dtype_name(array.dtype)}, {"shape", array.shape}, {"bytes", array.bytes()}});
    bytes += static_cast<std::int64_t>(array.bytes());
    elements += array.numel();
  }
  for (const auto& [key, text] : metadata) texts[key] = text.size() <= looks::kMostText ? text : fmt::format("({} bytes)", text.size());
  record["metrics"] = {{"tensors", weights.file.tensors.size()}, {"tensor_bytes", bytes}, {"elements", elements}};
  struct stat status {};
  if (!is_folder_name(path) && stat(path.c_str(), &status) == 0) record["metrics"]["file_bytes"] = status.st_size;
  if (!weights.parts.empty()) record["files"] = weights.parts;
  if (!texts.empty()) record["metadata"] = texts;
  record["tensors"] = rows;
  if (options.common.format == "table") record.text = looks::table(rows);
}

std::string verify_weights(const std::string& path) {
  const io::Checkpoint checkpoint = read_weights(path, true);
  check_finite(checkpoint.tensors, path);
  if (!checkpoint.digest.empty()) {
    const std::string digest = io::root_digest(checkpoint);
    if (digest != checkpoint.digest) throw Error(Exit::kInput, path, fmt::format("root digest is {}, the file says {}", digest, checkpoint.digest));
    return digest;
  }
  if (is_folder_name(path)) return "";
  const io::Bytes bytes = io::map_file(path);
  return io::sha256(bytes.data, bytes.size);
}

}  // namespace ds::commands
