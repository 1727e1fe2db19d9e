// The one door into libds_onnx.so. Protobuf's exceptions and memory's end here.
#include "base/commands/onnx_module.h"
#include "onnx/export.h"
#include "onnx/read.h"

namespace ds::onnx {

namespace {

std::string write(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::map<std::string, std::string>& metadata,
                  const std::string& path, const commands::OnnxWrite& options) {
  return write_model(export_model(graph, tensors, metadata), path, options);
}

commands::OnnxFile read(const std::string& path, const commands::OnnxRead& options) { return read_model(path, options); }

const commands::OnnxModule kModule{write, read, read_nodes};

}  // namespace

}  // namespace ds::onnx

extern "C" const ds::commands::OnnxModule& ds_onnx_module() {
  google::protobuf::SetLogHandler(nullptr);  // what is wrong with a file is told by exceptions of ours
  return ds::onnx::kModule;
}
