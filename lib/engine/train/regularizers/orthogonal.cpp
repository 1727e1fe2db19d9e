#include "base/catalog/regularizer/orthogonal.h"

#include <ATen/ops/eye.h>

#include "base/core/error.h"
#include "engine/train/parts.h"
#include "engine/train/regularizers/weights.h"

namespace ds::train::orthogonal {

using Options = catalog::regularizer::orthogonal::Options;

/// Of the smaller side: rows that are orthogonal where there are fewer of them than columns, else columns.
at::Tensor distance(const at::Tensor& matrices, bool diagonal) {
  const at::Tensor rows = matrices.size(1) <= matrices.size(2) ? matrices : matrices.transpose(1, 2);
  const at::Tensor gram = rows.matmul(rows.transpose(1, 2)), one = at::eye(rows.size(1), gram.options());
  return (diagonal ? gram.sub(one) : gram.mul(one.neg().add(1))).square().sum();
}

struct Penalty : Callback {
  Options options;
  std::vector<LayerWeight> weights;
  explicit Penalty(const Options& o) : options(o) {}
  void on_start(Trainer& trainer) override {
    weights = layer_weights(trainer);
    if (weights.empty()) throw Error(Exit::kUsage, "regularize.orthogonal", "the model has no linear or convolutional layer that is trained");
  }
  at::Tensor on_loss(Trainer& trainer, const data::Batch&, const std::vector<at::Tensor>&, const at::Tensor& loss) override {
    at::Tensor sum = loss;
    for (const LayerWeight& weight : weights)
      sum = sum.add(distance(weight.matrices(trainer.model().tensors.at(weight.name)), options.orthogonal_form == "soft"), options.orthogonal);
    return sum;
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const auto& o = static_cast<const Options&>(options);
  return o.orthogonal > 0 ? std::make_shared<Penalty>(o) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "orthogonal", make};

}  // namespace ds::train::orthogonal
