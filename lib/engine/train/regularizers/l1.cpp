#include "base/catalog/regularizer/l1.h"

#include "engine/train/parts.h"
#include "engine/train/regularizers/weights.h"

namespace ds::train::l1 {

using Options = catalog::regularizer::l1::Options;

struct Penalty : Callback {
  double strength;
  explicit Penalty(double l1) : strength(l1) {}
  at::Tensor on_loss(Trainer& trainer, const data::Batch&, const std::vector<at::Tensor>&, const at::Tensor& loss) override {
    at::Tensor sum = loss;
    for (const at::Tensor& weight : decayed(trainer)) sum = sum.add(weight.abs().sum(), strength);
    return sum;
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting&) {
  const double strength = static_cast<const Options&>(options).l1;
  return strength > 0 ? std::make_shared<Penalty>(strength) : nullptr;
}
const core::Body<MakeRegularizer> body{"regularizer", "l1", make};

}  // namespace ds::train::l1
