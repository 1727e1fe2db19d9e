// A graph with its tensors as an ONNX model.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/commands/onnx_module.h"
#include "base/graph/graph.h"
#include "base/io/array.h"
#include "onnx/proto.h"

namespace ds::onnx {

/// A tensor that goes into the file; its bytes are not copied into the message.
struct Initializer {
  std::string name;
  io::Array array;
};

struct Model {
  pb::ModelProto proto;  ///< all but the initializers
  std::vector<Initializer> initializers;
};

/// The graph in ONNX's opset 17, ready for inference: names of tensors, inputs and outputs are the graph's, symbols of its types the dim_params.
/// `metadata` becomes metadata_props, with the digest of the nodes (structure_digest) beside it.
/// Throws ds::Error(kUsage) for an op that has no form in ONNX, kInput for a graph that does not fit its tensors.
Model export_model(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::map<std::string, std::string>& metadata);

/// SHA-256 of the opsets, nodes, inputs, outputs and names, dtypes and shapes of initializers, however the file was encoded: tells whether the
/// net was changed.
std::string structure_digest(const pb::ModelProto& proto, const std::vector<Initializer>& initializers);
inline constexpr const char* kStructureKey = "ds.onnx_structure";

/// ONNX's number of a dtype; 0 where it has none.
int onnx_dtype(io::DType dtype);

/// Writes the model, as io::replace_file; with `external`, or where it would pass the 2 GB that a protobuf file can have, tensors of 1 kB and
/// more go to a file beside it, aligned to pages, whose name has the digest of what it holds: the old pair or the new one is there, never a mix.
/// Returns the name of that file, or "".
std::string write_model(const Model& model, const std::string& path, const commands::OnnxWrite& options);

}  // namespace ds::onnx
