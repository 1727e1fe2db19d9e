// Weights from elsewhere to begin with: what a file or folder holds, and what of it fits a net.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/core/tool.h"
#include "base/graph/graph.h"
#include "base/io/checkpoint.h"
#include "base/models/models.h"

namespace ds::commands {

struct Pretrained {
  io::Checkpoint checkpoint;                ///< a graph and documents of their own; the graph is null where there are weights alone
  std::map<std::string, io::Array> tensors;
  std::string path;
};

/// Throws ds::Error(kInput) where `path` is nothing that weights are read from. Cheap: for check_files.
void check_pretrained(const std::string& path);
/// A checkpoint, a file of tensors (io/tensor_file.h) or a folder of Hugging Face, noted as the input "pretrained".
Pretrained read_pretrained(const std::string& path, core::Record& record);

/// The net of a checkpoint or folder for other data: of its architecture and options where those give its tensors, else its own graph (pruned,
/// written by hand); with a last layer for the data's classes and, for texts, the head `target` ("classification", "causal-lm" ...).
/// Throws ds::Error(kUsage) where the data do not fit it.
graph::Graph net_for(const io::Checkpoint& checkpoint, const models::DataSizes& data, const std::string& target, double dropout);

/// The graph with another number of classes: its last layer's tensors get another shape. Throws ds::Error(kUsage) where it has no last layer of its own.
void replace_head(graph::Graph& graph, std::int64_t classes, const std::string& where);

/// What of the tensors a graph takes.
struct FittedWeights {
  std::map<std::string, io::Array> tensors;        ///< by the graph's names, in its dtypes
  std::vector<std::string> missing, unexpected;    ///< the graph's names that there is nothing for; the file's that it has no place for
  std::vector<std::string> other;                  ///< "fc.weight is float32[1000, 512], expected float32[10, 512]"
  std::vector<std::string> resized;                ///< tables of positions for another number of patches
  std::string stripped, added;                     ///< what was taken from, or put before, the file's names
  core::Json to_json() const;
  std::string line() const;                        ///< "112 of 114 tensors loaded; 2 of another shape are drawn anew: fc.weight, fc.bias"
};
/// By name and shape. Beginnings that all names share on one side ("module.", "model.", "bert.") are taken off or put on where that fits strictly more
/// than any other way. Throws ds::Error(kInput, where) where nothing fits, with the nearest names, and for numbers that are not finite.
FittedWeights fit_weights(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::string& where);

}  // namespace ds::commands
