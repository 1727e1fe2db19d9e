// Blends of two samples of a batch: mixup and CutMix, alone or by turns.
#pragma once
#include "engine/exec/random.h"
#include "engine/train/parts.h"

namespace ds::train {

/// A draw from Beta(a, a).
double symmetric_beta(double a, exec::Stream& stream);

struct MixingOptions {
  double mixup = 0, cutmix = 0;          ///< of Beta; 0 = not this one
  double probability = 1, switched = 0.5;  ///< of a step to be changed; of that to be by CutMix where both are on
  bool each = false;                     ///< a share for each sample
};

/// Sets inputs, mixed_labels and mix of each batch. All draws are a function of seed, step and sample ids.
class Mixing : public Callback {
 public:
  explicit Mixing(MixingOptions options) : options_(options) {}
  void on_batch(Trainer& trainer, data::Batch& batch) override;

 private:
  MixingOptions options_;
};

/// What the options of both say; null where both are off. Throws ds::Error(kUsage) where samples are no pictures with classes.
std::shared_ptr<Callback> make_mixing(const Setting& setting, const char* key);

/// Throws ds::Error(kUsage, "regularize.<key>") where samples are not pictures of more than a pixel (tokens, rows of a table).
void require_pictures(const Setting& setting, const char* key);

}  // namespace ds::train
