#include "base/catalog/distillation/logits.h"

#include <ATen/ops/log_softmax.h>
#include <c10/core/GradMode.h>

#include "engine/compress/distill/distiller.h"

namespace ds::compress {

at::Tensor soft_target_loss(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& hard, double temperature, double soft_weight) {
  const at::Tensor log_s = at::log_softmax(student.div(temperature), 1), log_t = at::log_softmax(teacher.div(temperature), 1);
  const at::Tensor divergence = log_t.exp().mul(log_t.sub(log_s)).sum(1).mean();
  return divergence.mul(soft_weight * temperature * temperature).add(hard, 1 - soft_weight);
}

namespace logits {

class Logits final : public train::Callback {
 public:
  Logits(exec::Model& teacher, const catalog::distillation::logits::Options& options) : executor_(teacher), options_(options) {}

  at::Tensor on_loss(train::Trainer&, const data::Batch& batch, const std::vector<at::Tensor>& outputs, const at::Tensor& loss) override {
    at::Tensor teacher;
    {
      const c10::NoGradGuard off;
      teacher = executor_.run(batch.inputs, exec::RunContext{})[0];
    }
    teacher = teacher.to(outputs[0].scalar_type());
    if (batch.labels.dim() == 1) return soft_target_loss(outputs[0], teacher, loss, options_.temperature, options_.soft_weight);
    const at::Tensor asked = batch.labels.flatten().ge(0).nonzero().flatten();  // [N, S]: of padding there is nothing to learn
    const auto rows = [&](const at::Tensor& scores) { return scores.flatten(0, 1).index_select(0, asked); };
    return soft_target_loss(rows(outputs[0]), rows(teacher), loss, options_.temperature, options_.soft_weight);
  }

 private:
  exec::Executor executor_;
  catalog::distillation::logits::Options options_;
};

std::shared_ptr<train::Callback> make(exec::Model& teacher, const core::Options& options) {
  return std::make_shared<Logits>(teacher, static_cast<const catalog::distillation::logits::Options&>(options));
}
const core::Body<MakeDistillation> body{"distillation", "logits", make};

}  // namespace logits
}  // namespace ds::compress
