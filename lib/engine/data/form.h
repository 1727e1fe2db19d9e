// How the samples of a split become what a net takes: one form for images, one for tokens.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace ds::data {

/// Buffers of one thread.
struct Scratch {
  std::vector<float> a, b, augment;
};

class Form {
 public:
  virtual ~Form();
  /// The tensors of a batch of these samples of the split, not filled. In the thread that wants the batch.
  virtual Batch make(const std::vector<std::int64_t>& rows) const = 0;
  /// Fills inputs and labels of a batch that make() made of these rows. A sample is a function of (seed, epoch, id). In any thread.
  virtual void fill(Batch& batch, const std::vector<std::int64_t>& rows, std::uint64_t epoch, Scratch& scratch) const = 0;
  /// About so many nanoseconds of work a sample.
  virtual double cost() const = 0;
};

/// `augment`: names of augmentations, in order. Throws ds::Error(kInput) where the split does not fit the preprocessing, kUsage for an
/// augmentation that is unknown or given twice.
std::unique_ptr<Form> image_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed);
/// The same for tokens, of which there are no augmentations: kUsage where there is one.
std::unique_ptr<Form> token_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed);
/// The one that the split asks for.
std::unique_ptr<Form> make_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed);

}  // namespace ds::data
