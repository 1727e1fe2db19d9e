#include "base/catalog/regularizer/l2.h"

#include "engine/train/parts.h"
#include "engine/train/regularizers/weights.h"

namespace ds::train::l2 {

using Options = catalog::regularizer::l2::Options;

struct Penalty : Callback {
  double strength;
  explicit Penalty(double l2) : strength(l2) {}
  at::Tensor on_loss(Trainer& trainer, const data::Batch&, const std::vector<at::Tensor>&, const at::Tensor& loss) override {
    at::Tensor sum = loss;
    for (const at::Tensor& weight : decayed(trainer)) sum = sum.add(weight.square().sum(), strength / 2);
    return sum;
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const double strength = static_cast<const Options&>(options).l2;
  return strength > 0 ? std::make_shared<Penalty>(strength) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "l2", make};

}  // namespace ds::train::l2
