// ONNX models as graphs with tensors.
#pragma once
#include <map>
#include <string>

#include "base/commands/onnx_module.h"
#include "onnx/export.h"
#include "onnx/proto.h"
#include "onnx/wire.h"

namespace ds::onnx {

/// Reads a file. Throws ds::Error(kInput) for what is broken, malicious or has no form here; all unsupported ops are named at once.
commands::OnnxFile read_model(const std::string& path, const commands::OnnxRead& options);
/// The same from the bytes of the file `path`; tensors in other files are looked for beside it.
commands::OnnxFile read_model(const io::Bytes& bytes, const std::string& path, const commands::OnnxRead& options);

/// The file's nodes and tensors as they are. Throws ds::Error(kInput) for what is broken or malicious; whether an op is known is not asked.
commands::OnnxNodes read_nodes(const std::string& path);

/// Tensors of a model, in its order and by name.
struct Tensors {
  std::vector<Initializer> table;
  std::map<std::string, io::Array> by_name;
};
/// Throws ds::Error(kInput) as tensor_values does, and for a name that is there twice.
Tensors read_tensors(const Parsed& parsed, const io::Bytes& bytes, const std::string& path);

/// A tensor's values: `raw` where the message has no list of its own. Throws ds::Error(kInput): strings and types without a form here, sizes that
/// overflow or are not those of the bytes, bytes elsewhere than beside the model.
io::Array tensor_values(const pb::TensorProto& tensor, const io::Bytes& raw, const std::string& path, std::map<std::string, io::Bytes>& beside);

}  // namespace ds::onnx
