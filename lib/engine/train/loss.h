// What a run minimises. Kind "loss": card in base/catalog/loss, body in train/losses.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "engine/data/dataset.h"

namespace ds::train {

/// What a loss may depend on beside its own options.
struct LossSetting {
  const data::Dataset& data;
  double label_smoothing = 0;
};

class Loss {
 public:
  virtual ~Loss();
  /// The loss of each thing that counts: [n] for a label a sample, [n * S] for one a token, where things without a label (-100) have 0.
  /// @param outputs of the net: [0] = scores [n, classes], [n, S, classes], [n, values] or embeddings [n, D]; float32 or float64
  /// @param labels  as data::Batch::labels
  virtual at::Tensor each(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const = 0;
  /// How many things count: samples, or the tokens with a label. The mean of a step is over these, however it is split.
  virtual std::int64_t counted(const at::Tensor& labels) const;
  /// How many of them the net tells right; 0 where outputs are no scores of classes.
  virtual std::int64_t correct(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const;
  /// Whether a batch may be computed in parts: not where a sample is held against the others of its batch.
  virtual bool divisible() const { return true; }
};

using MakeLoss = std::unique_ptr<Loss>(const core::Options& options, const LossSetting& setting);
/// The chosen loss, or where none is chosen the one that the data ask for: cross-entropy for classes and tokens, mse for numbers, contrastive for
/// vectors, cosine for scored pairs. Throws ds::Error(kUsage) for a loss that these data have no labels for.
std::unique_ptr<Loss> make_loss(const core::Choice& choice, const LossSetting& setting);
/// Sum over what counts in this part of a batch, each sample's by its share of the two labels where labels are mixed.
at::Tensor summed_loss(const Loss& loss, const std::vector<at::Tensor>& outputs, const data::Batch& part);

/// Throws ds::Error(kUsage, "loss.name") unless `fits`. `takes`: what the loss takes, "classes".
void require_labels(bool fits, const std::string& loss, const std::string& takes, const data::Dataset& data);
/// What `loss.class_weights` says, [classes] float64; undefined where it is empty. "balanced": n / (classes * n_c) over the training split.
/// Throws ds::Error(kUsage) for what is no positive number, another count than classes, or a class without samples.
at::Tensor class_weights(const std::vector<std::string>& given, const data::Dataset& data);

/// InfoNCE of pairs (rows 2i and 2i + 1), both ways: [n]. Cosines are divided by the temperature.
at::Tensor pair_loss(const at::Tensor& vectors, double temperature);
/// The same for rows of one class: [n], 0 where a row is the only one of its class.
at::Tensor near_loss(const at::Tensor& vectors, const at::Tensor& labels, double temperature);
/// Rows of norm 1.
at::Tensor unit_rows(const at::Tensor& vectors);

}  // namespace ds::train
