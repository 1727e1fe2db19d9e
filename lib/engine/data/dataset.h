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

/// What a net is to tell of a sample of tokens.
enum class Target {
  kClass,   ///< a class: labels [N]
  kToken,   ///< a class of each token: labels [N, S], -100 where there is none
  kNext,    ///< the token that follows each: labels [N, S]
  kMasked,  ///< tokens that were taken away: labels [N, S], -100 where none was
  kNear,    ///< a vector, near those of the samples with the same class: labels [N]
  kPair,    ///< a vector, near that of the partner: samples 2i and 2i + 1, labels [N] with i at both
  kScored,  ///< a vector whose cosine with the partner's is their score: labels float32 [N, 1]
};
/// Two samples that follow one another belong together and are never parted.
inline bool of_pairs(Target target) { return target == Target::kPair || target == Target::kScored; }
/// A vector of each sample is asked for.
inline bool of_vectors(Target target) { return target == Target::kNear || of_pairs(target); }
/// Something is told of each token.
inline bool of_each_token(Target target) { return target == Target::kToken || target == Target::kNext || target == Target::kMasked; }
/// "classification", "token", "causal-lm", "masked-lm", "embedding": the head of a net that tells it.
const char* target_name(Target target);

/// Sequences of token ids, each with a length of its own; they may overlap.
struct Tokens {
  at::Tensor ids;            ///< [T] int32: all of them, one behind the other
  at::Tensor types;          ///< [T] uint8: 1 for what belongs to the second text of a pair; undefined: all 0
  at::Tensor labels;         ///< [T] int64, with Target::kToken
  at::Tensor first, length;  ///< [N] int64: sample i is ids[first[i] .. first[i] + length[i]); with kNext it is to tell ids[first[i] + 1 ..]
  Target target = Target::kClass;
  std::int64_t vocab_size = 0;     ///< each id is below it
  std::int64_t pad_id = 0;         ///< of padding
  std::int64_t mask_id = -1;       ///< with kMasked: stands for a token that was taken away
  std::vector<bool> special = {};  ///< [vocab_size] ids that are never taken away; empty: none is
  std::int64_t size() const { return first.defined() ? first.numel() : 0; }
  std::int64_t longest() const;    ///< tokens of the longest sample; 0 where there is none
};

/// One split of labelled samples, images or tokens. Sample i has global id `first_id + i`.
struct Split {
  at::Tensor images;  ///< [N, C, H, W] uint8, or float32; rows of a table are [N, columns, 1, 1]. Undefined for tokens
  at::Tensor labels;  ///< [N] int64, or float32 [N, values] of a regression; undefined where the tokens tell
  std::int64_t first_id = 0;
  Tokens tokens = {};
  std::vector<std::string> texts = {};  ///< [N] that the tokens were made from; a pair is two, with a NUL between. Empty where there are none
  std::int64_t size() const { return labels.defined() ? labels.size(0) : tokens.size(); }
};

/// A data set: three splits and what a model must know of it. A split may be empty.
struct Dataset {
  std::string spec;  ///< as given: "mnist5k", "idx:DIR" ...
  std::int64_t num_classes = 0;
  std::vector<std::string> labels;  ///< names of the classes
  std::vector<std::string> values = {};  ///< names of the numbers that a regression tells; empty: samples have classes
  Json preprocessing;               ///< as io::Checkpoint::preprocessing; of a regression with "targets": {"names", "mean", "std"}
  Json tokenizer;                   ///< of texts: as io::Checkpoint::tokenizer; else null
  std::string fingerprint;          ///< SHA-256 over the bytes of images (of texts, else of tokens) and labels of all splits
  Split train, val, test;
  /// Samples are tokens, not images.
  bool has_tokens() const { return train.tokens.vocab_size > 0; }
  /// Samples have a class, or each of their tokens has.
  bool tells_classes() const { return values.empty() && !of_vectors(train.tokens.target); }
  const Tokens& tokens() const { return train.tokens; }
  const Split& split(const std::string& name) const;  ///< ds::Error(kUsage) for an unknown name, kInput for an empty one
};

/// Kind "dataset": a card says what the part before ':' means, the body loads `rest`, the part behind it.
using LoadDataset = Dataset(const std::string& rest, const core::Options& options);

/// Opens SPEC: "mnist5k", "digits", "idx:DIR", "cifar10:DIR", "folder:DIR?size=32", "csv:FILE?target=NAME",
/// "text:DIR", "text:FILE", "csv:FILE?text=NAME,target=NAME", "synthetic:shape=3x32x32,classes=10,train=512,...".
/// `tokenizer`: the document that texts become tokens by; null: a byte is a token.
/// Throws ds::Error(kUsage) for a malformed or unknown SPEC, kInput for missing or corrupt files, text that is not UTF-8 among them.
Dataset open(const std::string& spec, const Json& tokenizer = nullptr);
/// The same, once per process.
const Dataset& open_cached(const std::string& spec, const Json& tokenizer = nullptr);
/// The document of a tokenizer: tokenizer.json, vocab.txt (WordPiece), or a folder that has one. Throws ds::Error(kInput).
Json read_tokenizer(const std::string& path);
/// SPEC with a folder or file made absolute, for what outlives the current directory: a checkpoint, a run folder.
std::string absolute_spec(const std::string& spec);

/// The preprocessed form of uint8 or float32 images: float32 [N, C, H, W] (channels-last memory), (x * scale - mean) / std.
/// Throws ds::Error(kInput) where shapes do not fit the preprocessing.
at::Tensor preprocess(const at::Tensor& images, const Json& preprocessing);

/// Samples as a net takes them.
struct Batch {
  /// In the order of the graph's inputs. Images: one, float32 [n, C, H, W], preprocessed, channels-last. Tokens: those that preprocessing.inputs
  /// names, int64 [n, S], S the longest of the batch, padded on the right.
  std::vector<at::Tensor> inputs;
  at::Tensor labels;  ///< int64 [n], or [n, S] with -100 where nothing is asked; float32 [n, values] of a regression, standardised
  at::Tensor ids;     ///< int64 [n], global sample ids
  /// Where samples are blends of two (mixup, CutMix): the other one's labels, and the share [n] of `labels` in the target. Else undefined.
  at::Tensor mixed_labels, mix;
  std::int64_t size() const { return ids.numel(); }
};

/// Samples first .. first + rows - 1 of a batch. Shares its memory.
Batch part_of(const Batch& batch, std::int64_t first, std::int64_t rows);

/// Samples first .. first + rows - 1 of a split, as a Loader without shuffling and augmentation gives them in its first epoch.
/// Throws ds::Error(kInput) where the split does not fit the preprocessing.
Batch batch_of(const Split& split, const Json& preprocessing, std::int64_t first, std::int64_t rows);

struct LoaderOptions {
  std::int64_t batch_size = 64;
  bool shuffle = false;
  bool drop_last = false;
  std::vector<std::string> augment = {};  ///< "affine", "crop", "flip", in order; training only
  std::int64_t workers = -1;              ///< threads that prepare batches; -1: 1, or 0 for small work; 0: in the caller's thread
  std::int64_t prefetch = 4;
  std::uint64_t seed = 0;
  /// [N] how often a sample is drawn, in proportion: an epoch is N draws with replacement. Empty: each sample once. With `shuffle` only, and not
  /// of pairs.
  std::vector<double> weights = {};
  /// Samples of like length share a batch, so that little is padding: of each 50 batches of the shuffled order, sorted by length, the batches in
  /// random order. Of tokens, with `shuffle` only.
  bool by_length = false;
  double patience = 0;                    ///< seconds without a batch after which the loader says what it waits for; 0: never
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
