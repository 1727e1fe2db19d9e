// ds-convert between checkpoints and the tensor files of other programs.
#pragma once
#include <map>
#include <string>

#include "base/commands/convert.h"
#include "base/core/registry.h"
#include "base/graph/graph.h"
#include "base/io/tensor_file.h"

namespace ds::commands {

/// Converts where input or output is a tensor file (io/tensor_file.h). A checkpoint's documents travel in the file's metadata, so that what
/// we wrote comes back as the same checkpoint, root digest and all; weights of other programs need --arch. What was written is read back and
/// compared bit for bit: record["verified"].
void convert_formats(const ConvertCommand& options, core::Record& record);

/// The documents of a checkpoint as texts, for the metadata of a file of another format: "ds.graph", "ds.labels" ... and "ds.digest".
std::map<std::string, std::string> documents_of(const io::Checkpoint& checkpoint);

/// Reads options.output back and holds its tensors against those that were to be written, bit for bit: record["verified"]. Throws
/// ds::Error(kFailure) where they differ, after the file is removed.
void verify_written(const ConvertCommand& options, const std::map<std::string, io::Array>& wrote, core::Record& record);

/// The graph of `choice` with the sizes that its options leave 0 taken from the tensors: num_classes and in_channels from the shapes that
/// depend on them, height and width from `size` ({} = the usual size that fits best; square where it has one number).
/// Throws ds::Error(kUsage) where no size makes a net.
graph::Graph graph_for(const core::Choice& choice, const std::map<std::string, io::Array>& tensors, const std::vector<std::int64_t>& size);

/// Holds the tensors of a file against the graph's table: names, shapes, dtypes. One error each for those missing, unexpected and of another
/// form, with their number and the first ten. Throws ds::Error or ds::ErrorList (kInput).
void check_tensors(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::string& where);

}  // namespace ds::commands
