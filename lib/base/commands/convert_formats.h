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

/// Whether a file's metadata are those texts.
bool is_own(const io::TensorFile& file);

/// The checkpoint that such a file was, and in `same` whether its root digest is still the one that the texts name: its parent then.
/// Throws ds::Error(kInput) for another version, documents that are none, a graph that does not verify or tensors that do not fit it.
/// `known` gets the tensors' digests.
io::Checkpoint from_own(const io::TensorFile& file, const std::string& path, bool& same, io::KnownDigests* known = nullptr);

/// Takes out tensors that nobody reads (record["ignored"]) and a prefix that a wrapper left on every name (record["prefix"]).
void clean_tensors(std::map<std::string, io::Array>& tensors, core::Record& record);
/// Removes the tensors of auxiliary heads, which published files of the architecture have for training alone; the record lists them.
void drop_training_only(const std::string& arch, std::map<std::string, io::Array>& tensors, core::Record& record);

/// Brings float tensors to the dtype that the graph's table has: record["converted"] says from what, and the largest difference.
void fit_dtypes(const graph::Graph& graph, std::map<std::string, io::Array>& tensors, core::Record& record);

/// Labels and, for images, preprocessing as the options say; ImageNet's mean and deviation where there are three channels.
void describe(const ConvertCommand& options, const graph::Graph& graph, io::Checkpoint& checkpoint);

/// Throws ds::Error(kInput) naming the first tensor that has a NaN or an infinity.
void check_finite(const std::map<std::string, io::Array>& tensors, const std::string& where);

/// Writes options.output with one more step in its provenance, and verifies it. Tensors in `known` are not hashed again.
/// `outputs`: what came of running both sides (its tensors are not read).
void write_checkpoint(const ConvertCommand& options, io::Checkpoint& checkpoint, io::Json step, core::Record& record, io::KnownDigests* known = nullptr,
                      const Verified& outputs = {});

/// The whole pages of memory that nobody reads again, or that is a file's and is read from it anew.
void give_back(const std::byte* data, std::size_t bytes);

/// "" where `back` holds the same tensors bit for bit, else the first difference; `largest` grows to the largest one. Pages of `back` are given
/// back on the way: nobody may read it again.
std::string compare_tensors(const std::map<std::string, io::Array>& wrote, const std::map<std::string, io::Array>& back, double& largest);

/// Reads options.output back and holds its tensors against those that were to be written, bit for bit: record["verified"]. Throws
/// ds::Error(kFailure) where they differ, after the file is removed. `outputs`: what came of running both sides (its tensors are not read).
void verify_written(const ConvertCommand& options, const std::map<std::string, io::Array>& wrote, core::Record& record, const Verified& outputs = {});

/// A checkpoint's tensors with the documents that go along, as texts: from such a file the same checkpoint comes back.
io::TensorFile travelling(const io::Checkpoint& checkpoint);

/// The graph of `choice` with the sizes that its options leave 0 taken from the tensors: num_classes and in_channels from the shapes that
/// depend on them, height and width from `size` ({} = the usual size that fits best; square where it has one number).
/// Throws ds::Error(kUsage) where no size makes a net.
graph::Graph graph_for(const core::Choice& choice, const std::map<std::string, io::Array>& tensors, const std::vector<std::int64_t>& size);

/// Holds the tensors of a file against the graph's table: names, shapes, dtypes. One error each for those missing, unexpected and of another
/// form, with their number and the first ten. Throws ds::Error or ds::ErrorList (kInput).
void check_tensors(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::string& where);

}  // namespace ds::commands
