// What ds-convert asks of libds_onnx.so, which is loaded for paths that end in .onnx alone.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/graph/graph.h"
#include "base/io/tensor_file.h"

namespace ds::commands {

bool is_onnx_name(const std::string& path);

struct OnnxWrite {
  bool overwrite = false;
  bool external = false;  ///< tensors to a file beside, also where the model is small
};

struct OnnxRead {
  bool own = true;  ///< a graph of ours that travels along is taken where the nodes are still those that it became
};

/// A model that was read. Tensors lie in the file's mapping where they can.
struct OnnxFile {
  io::TensorFile file;          ///< tensors by the graph's names, metadata as in the file
  bool own = false;             ///< the metadata's graph holds; else `graph` was made of the nodes
  graph::Graph graph;           ///< verified
  std::vector<std::string> notes;  ///< what a user should know: "a newer opset", "changed since it was written"
};

/// An attribute of a node of ONNX.
using OnnxAttribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>, io::Array>;

struct OnnxNode {
  std::string op, domain, name;
  std::vector<std::string> inputs, outputs;  ///< "" = left out
  std::map<std::string, OnnxAttribute> attributes;
};

/// A model as its file has it, nothing made of it: to run it node by node. Subgraphs of nodes are left out.
struct OnnxNodes {
  std::int64_t opset = 0;                   ///< of ONNX's own domain
  std::vector<std::string> inputs, outputs;  ///< without inputs that are tensors of the file
  std::map<std::string, io::Array> tensors;
  std::vector<OnnxNode> nodes;  ///< in the file's order
};

/// Functions of the module. They throw ds::Error: kUsage for what ONNX has no form for, kInput for files, kResource for the disk.
struct OnnxModule {
  /// Returns the name of the file with the tensors, "" where they are within.
  std::string (*write)(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::map<std::string, std::string>& metadata,
                       const std::string& path, const OnnxWrite& options);
  OnnxFile (*read)(const std::string& path, const OnnxRead& options);
  OnnxNodes (*nodes)(const std::string& path);
};

/// Loads the module once. Throws ds::Error(kResource) naming the package where it is not there.
const OnnxModule& onnx_module();

}  // namespace ds::commands
