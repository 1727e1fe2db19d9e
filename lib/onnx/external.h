// Tensors in a file beside the model: its name, and what of such names is believed.
#pragma once
#include <string>
#include <vector>

#include "base/io/files.h"

namespace ds::onnx {

/// "net.onnx.0123456789ab.data"
std::string data_file_name(const std::string& model, const std::string& digest);
/// Files beside `path` that write_model made for it: names as data_file_name gives.
std::vector<std::string> data_files_of(const std::string& path);

/// Maps the file that a model calls `location`. Only a plain name is followed: a regular file in the model's folder, with one link, and no
/// symbolic one. Throws ds::Error(kInput).
io::Bytes map_beside(const std::string& model_path, const std::string& location);

}  // namespace ds::onnx
