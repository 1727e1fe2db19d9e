#include "base/catalog/regularizer/r-drop.h"

#include <ATen/ops/log_softmax.h>

#include "base/core/error.h"
#include "base/graph/schema.h"
#include "engine/train/parts.h"

namespace ds::train::r_drop {

using Options = catalog::regularizer::r_drop::Options;

bool draws(const graph::Graph& graph) {
  for (const graph::Node& node : graph.nodes)
    if (node.op.starts_with("drop") && graph::full_attributes(node).at("p").get<double>() > 0) return true;
  return false;
}

/// Symmetric divergence of two predictions, the mean over what has a label: (KL(p || q) + KL(q || p)) / 2.
at::Tensor divergence(const at::Tensor& a, const at::Tensor& b, const at::Tensor& labels) {
  const at::Tensor p = at::log_softmax(a, -1), q = at::log_softmax(b, -1);
  const at::Tensor each = p.exp().sub(q.exp()).mul(p.sub(q)).sum(-1).div(2);
  if (labels.dim() == 1) return each.mean();
  const at::Tensor asked = labels.ge(0).to(each.scalar_type());
  return each.mul(asked).sum().div(asked.sum().clamp_min(1));
}

struct Twice : Callback {
  double strength;
  explicit Twice(double r_drop) : strength(r_drop) {}
  void on_start(Trainer& trainer) override {
    if (!draws(trainer.model().graph))
      throw Error(Exit::kUsage, "regularize.r_drop", "the model has no dropout, so that two draws of it are the same",
                  "set regularize.dropout, or leave it out");
  }
  at::Tensor on_loss(Trainer& trainer, const data::Batch& part, const std::vector<at::Tensor>& outputs, const at::Tensor& loss) override {
    const std::vector<at::Tensor> second = trainer.forward(part, 1);
    const at::Tensor more = trainer.loss(second, part).sub(trainer.loss(outputs, part)).div(2);
    return loss.add(more).add(divergence(outputs[0], second.at(0), part.labels), strength);
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const double strength = static_cast<const Options&>(options).r_drop;
  if (strength <= 0) return nullptr;
  if (!setting.data.values.empty() || gives_embeddings(setting.model.graph))
    throw Error(Exit::kUsage, "regularize.r_drop", "the model tells numbers, not classes: there are no predictions to compare", "leave it out");
  return std::make_shared<Twice>(strength);
}
const core::Body<MakeRegularizer> body{"regularizer", "r-drop", make};

}  // namespace ds::train::r_drop
