// Folders as Hugging Face's from_pretrained reads and save_pretrained writes them: JSON texts beside weights in one file or in shards.
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/io/array.h"

namespace ds::io {

/// The JSON object, list or text in a file; null where there is none of that name.
/// Throws ds::Error(kInput, path): not a regular file, beyond `cap` bytes, not JSON in UTF-8, nested too deep, a key that is there twice.
nlohmann::json read_json(const std::string& path, std::int64_t cap = std::int64_t{1} << 28);

/// One of the files that a folder's weights lie in.
struct WeightFile {
  std::string name;    ///< within the folder
  std::string sha256;  ///< hex, of the whole file
};

struct FolderWeights {
  std::map<std::string, Array> tensors;  ///< in the files' mappings, as TensorFile's
  std::vector<WeightFile> files;
};

/// The weights of a folder: model.safetensors, else its shards by model.safetensors.index.json, else pytorch_model.bin, else that one's shards;
/// the order in which from_pretrained looks. An index maps every tensor to the shard that holds it.
/// Throws ds::Error or ds::ErrorList(kInput): no weights, an index that is none, a shard that is missing or whose name is no plain file name (so
/// that it cannot lead out of the folder), a tensor that is not where the index says or that the index does not name, and what read_tensors
/// refuses. Without `sums` no digest is computed, nor the checksums that a format has: the tensors' pages are not touched.
FolderWeights read_folder_weights(const std::string& folder, bool sums = true);

/// Writes tensors as <stem>.safetensors, or as <stem>-00001-of-00003.safetensors ... and an index where they have more than `shard_bytes`: in the
/// order of their names, a shard as full as it gets; a tensor that is larger has one for itself. Metadata {"format": "pt"}, which from_pretrained
/// wants. @return the names of the files, the index last
std::vector<std::string> write_folder_weights(const std::string& folder, const std::map<std::string, Array>& tensors, std::int64_t shard_bytes,
                                              const std::string& stem = "model");

/// Throws what replace_folder would, before any work.
void check_folder_output(const std::string& path, bool overwrite);

/// Makes `path` a folder with what `fill` puts in a hidden one beside it, or leaves all as it was. A folder that is there and not empty is
/// replaced where `overwrite` is set, and only where all that is in it are files that a model's folder has (JSON, weights, vocabularies, a README):
/// nobody's home is lost by a slip. Throws ds::Error: kUsage for a path that exists and may not be replaced, kResource where the disk is full or
/// the folder cannot be written.
void replace_folder(const std::string& path, bool overwrite, const std::function<void(const std::string& temporary)>& fill);

}  // namespace ds::io
