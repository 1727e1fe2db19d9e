// Checkpoints: one HDF5 file with graph, tensors, preprocessing, labels, history and provenance (man/ds-checkpoint.5).
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/io/array.h"

namespace ds::io {

using Json = nlohmann::json;

/// The newest format that this build writes and reads.
inline constexpr int kFormatVersion = 1;

/// A checkpoint in memory. Documents that a file lacks are null.
struct Checkpoint {
  Json graph;                            ///< the model: graph::to_json
  std::map<std::string, Array> tensors;  ///< by name, as in the graph's tensor table
  Json preprocessing;                    ///< {"kind": "image", "shape": [C,H,W], "scale", "mean": [...], "std": [...]}
  Json labels;                           ///< array of class names
  Json tokenizer;
  Json config;                           ///< resolved options of the run that made it, with "data" for defaults of later tools
  Json history;                          ///< array of objects, one an epoch: {"step","epoch","train_loss","val_loss","val_top1","lr",...}
  /// {"split", "n", "top1", "confusion": [[label][prediction]], "wrong": [{"id", "label", "prediction", "confidence", "shape", "pixels"}]}: how
  /// these weights do on one split, with its most confident mistakes; pixels in hex, one byte a value. For ds-report.
  Json evaluation;
  Json provenance = Json::array();       ///< one object a step, oldest first
  Json state;                            ///< only in last.h5 and .partial files: position in data, schedule ...
  /// Not part of the root digest nor of the deployed payload: optimizer state ("optim/<parameter>/<name>") and the best weights so far
  /// ("best/<tensor>").
  std::map<std::string, Array> state_tensors;
  std::string path;                      ///< where it was read from, "" else
  std::string digest;                    ///< root digest of what was read or written, hex SHA-256
};

struct LoadOptions {
  /// Check the XXH3-128 of every tensor, that weights are finite, and the root digest. Documents are always checked.
  bool verify = true;
  bool tensors = true;           ///< false: documents and the tensors' names and shapes only (data is null)
  std::int64_t max_bytes = std::int64_t{1} << 40;
};

/// Opens, checks and maps a checkpoint. Every tool comes through here.
/// Throws ds::Error(kInput): missing, a folder, not HDF5, foreign, truncated, corrupt, newer format, a cap exceeded, non-finite or empty tensor.
Checkpoint load(const std::string& path, const LoadOptions& options = {});
/// The same from bytes in memory (a pipe). `bytes` must outlive nothing: it is moved in and kept by the arrays.
Checkpoint load_bytes(std::vector<std::byte> bytes, const std::string& name, const LoadOptions& options = {});

/// Input `-` or a path: `-` reads stdin, which holds either a record with `status: done` (its first output is opened) or
/// HDF5 bytes, told apart by the signature. Throws ds::Error(kInput) for an empty stdin or a failed record.
Checkpoint load_input(const std::string& path_or_dash, const LoadOptions& options = {});

/// Throws what `load` throws for that path; the bytes of `-`, which can be read only once, and "" are left to `load_input`.
void check_input(const std::string& path_or_dash);
/// The same for a state that --resume auto would go on from, where there is one.
void check_state(const std::string& path);

/// Digests of tensors that were worked out already, XXH3-128 and SHA-256, by where the bytes lie: they must stay as they are meanwhile.
using KnownDigests = std::map<std::pair<const std::byte*, std::size_t>, std::pair<std::string, std::string>>;

struct SaveOptions {
  bool overwrite = false;        ///< else an existing file is ds::Error(kUsage)
  bool reproducible = false;     ///< leave out times, host, absolute paths (the caller's documents already do)
  KnownDigests* known = nullptr; ///< of root_digest: tensors that are in it are not hashed again
};

/// Writes atomically (temporary file in the same folder, fsync, rename, fsync of the folder) and sets `path` and `digest`.
/// `-` writes HDF5 bytes to stdout (refused where that is a terminal).
/// Throws ds::Error(kResource) where the folder cannot be written or the disk is full, ds::Error(kFailure) for a checkpoint that could not be
/// loaded (zero-length or non-finite tensor, impossible name); nothing is left behind.
void save(Checkpoint& checkpoint, const std::string& path, const SaveOptions& options = {});

/// Root digest: SHA-256 of the canonical manifest of graph, preprocessing, labels, tokenizer and, per tensor, name, dtype, shape, SHA-256.
/// `known`, where given, is used and filled.
std::string root_digest(const Checkpoint& checkpoint, KnownDigests* known = nullptr);
/// Recomputes every digest of a file. Throws ds::Error(kInput) at the first that differs; returns the root digest.
std::string verify_file(const std::string& path);

/// Appends a record of this step to the provenance: tool, version, command line, config digest, parent digests, seed, data, device, ISA, metrics.
/// Times, host and absolute paths are left out when `reproducible`.
void add_provenance(Checkpoint& checkpoint, Json step, bool reproducible);

/// Checks before any work that `path` may be written: folder exists and is writable, no file there (or force), not one of `inputs`,
/// `-` not a terminal. Throws ds::Error(kUsage or kResource).
void check_output(const std::string& path, const std::vector<std::string>& inputs, bool force);

}  // namespace ds::io
