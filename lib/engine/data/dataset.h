// Data sets in memory and the loader that turns them into batches.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/core/registry.h"

namespace ds::data {

using Json = nlohmann::json;

/// One split of labelled images. Sample i has global id `first_id + i`.
struct Split {
  at::Tensor images;  ///< [N, C, H, W] uint8, or float32; rows of a table are [N, columns, 1, 1]
  at::Tensor labels;  ///< [N] int64
  std::int64_t first_id = 0;
  std::int64_t size() const { return labels.defined() ? labels.numel() : 0; }
};

/// A data set: three splits and what a model must know of it. A split may be empty.
struct Dataset {
  std::string spec;  ///< as given: "mnist5k", "idx:DIR" ...
  std::int64_t num_classes = 0;
  std::vector<std::string> labels;  ///< names of the classes
  Json preprocessing;               ///< as io::Checkpoint::preprocessing
  std::string fingerprint;          ///< SHA-256 over the bytes of images and labels of all splits
  Split train, val, test;
  const Split& split(const std::string& name) const;  ///< ds::Error(kUsage) for an unknown name, kInput for an empty one
};

/// Kind "dataset": a card says what the part before ':' means, the body loads `rest`, the part behind it.
using LoadDataset = Dataset(const std::string& rest, const core::Options& options);

/// Opens SPEC: "mnist5k", "digits", "idx:DIR", "cifar10:DIR", "folder:DIR?size=32", "csv:FILE?target=NAME",
/// "synthetic:shape=3x32x32,classes=10,train=512,...".
/// Throws ds::Error(kUsage) for a malformed or unknown SPEC, kInput for missing or corrupt files.
Dataset open(const std::string& spec);
/// The same, once per process.
const Dataset& open_cached(const std::string& spec);
/// SPEC with a folder or file made absolute, for what outlives the current directory: a checkpoint, a run folder.
std::string absolute_spec(const std::string& spec);

/// The preprocessed form of uint8 or float32 images: float32 [N, C, H, W] (channels-last memory), (x * scale - mean) / std.
/// Throws ds::Error(kInput) where shapes do not fit the preprocessing.
at::Tensor preprocess(const at::Tensor& images, const Json& preprocessing);

struct Batch {
  at::Tensor images;  ///< float32 [n, C, H, W], preprocessed, channels-last
  at::Tensor labels;  ///< int64 [n]
  at::Tensor ids;     ///< int64 [n], global sample ids
  std::int64_t size() const { return labels.numel(); }
};

struct LoaderOptions {
  std::int64_t batch_size = 64;
  bool shuffle = false;
  bool drop_last = false;
  std::vector<std::string> augment = {};  ///< "affine", "crop", "flip", in order; training only
  std::int64_t workers = -1;              ///< threads that prepare batches; -1: 1, or 0 for small work; 0: in the caller's thread
  std::int64_t prefetch = 4;
  std::uint64_t seed = 0;
};

/// Batches of one split, epoch by epoch. The order is a function of (seed, epoch) and an augmented sample of (seed, epoch, id) alone:
/// neither the number of workers nor resuming in the middle changes a byte.
class Loader {
 public:
  Loader(const Split& split, const Json& preprocessing, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::int64_t batches() const;  ///< an epoch
  /// Goes to batch `first` of `epoch`.
  void start(std::int64_t epoch, std::int64_t first = 0);
  /// The next batch; false at the end of the epoch.
  bool next(Batch& batch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::data
