// Norms, and BatchNorm with the ReLU behind it in one pass
#include <ATen/ops/alias.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>
#include <c10/core/GradMode.h>

#include "engine/exec/kernel.h"
#include "engine/exec/nhwc.h"

namespace ds::exec::kernels::norm {

class BatchNorm2d final : public Kernel {
 public:
  BatchNorm2d(const graph::NodeView& v, bool relu) : eps_(v.f("eps")), momentum_(v.f("momentum")), relu_(relu) {}

  void run(StepArgs& a) override {
    const at::Tensor &x = a.in(), &w = a.slot(0), &b = a.slot(1), &mean = a.slot(2), &variance = a.slot(3);
    const bool own = is_nhwc(x) && w.scalar_type() == at::kFloat;
    if (own && a.context.training && x.numel() > x.size(1))
      return a.out(batch_norm_train(x, w, b, mean, variance, momentum_, eps_, relu_, a.context.update_statistics));
    if (own && !a.context.training && !(c10::GradMode::is_enabled() && (x.requires_grad() || w.requires_grad())))
      return a.out(batch_norm_infer(x, w, b, mean, variance, eps_, relu_));
    // Running statistics must stay what they are: torch gets copies to write to.
    const bool keep = a.context.training && !a.context.update_statistics;
    const at::Tensor y = at::batch_norm(x.to(w.scalar_type()), w, b, keep ? mean.clone() : mean,
                                        keep ? variance.clone() : variance, a.context.training, momentum_, eps_, /*cudnn_enabled=*/false);
    a.out(relu_ ? y.relu() : y);
  }

 private:
  double eps_, momentum_;
  bool relu_;
};

std::unique_ptr<Kernel> batch_norm2d(const BindContext& c) { return std::make_unique<BatchNorm2d>(c.view, false); }

std::unique_ptr<Kernel> layer_norm(const BindContext& c) {
  return kernel([eps = c.view.f("eps")](StepArgs& a) {
    const at::Tensor& w = a.slot(0);
    const at::Tensor x = a.in().scalar_type() == w.scalar_type() ? a.in() : a.in().to(w.scalar_type());
    a.out(at::layer_norm(x, {x.size(-1)}, w, a.slot(1), eps));
  });
}

std::unique_ptr<Kernel> rms_norm(const BindContext& c) {
  return kernel([eps = c.view.f("eps")](StepArgs& a) {
    const at::Tensor& w = a.slot(0);
    // An alias: ATen reads x twice, and the two gradients are to be added up here, however the plan is cut (checkpoint.h).
    const at::Tensor x = a.in().scalar_type() == w.scalar_type() ? at::alias(a.in()) : a.in().to(w.scalar_type());
    a.out(at::rms_norm(x, {x.size(-1)}, w, eps));
  });
}

std::unique_ptr<Kernel> group_norm(const BindContext& c) {
  return kernel([groups = c.view.i("groups"), eps = c.view.f("eps")](StepArgs& a) {
    const at::Tensor& w = a.slot(0);
    a.out(at::group_norm(a.in().scalar_type() == w.scalar_type() ? a.in() : a.in().to(w.scalar_type()), groups, w, a.slot(1), eps));
  });
}

std::unique_ptr<Kernel> with_relu(const std::vector<graph::NodeView>& nodes, const BindContext&) { return std::make_unique<BatchNorm2d>(nodes[0], true); }

const core::Body<MakeKernel> bodies[] = {{"kernel", "batch_norm2d", batch_norm2d}, {"kernel", "layer_norm", layer_norm}, {"kernel", "group_norm", group_norm},
                                         {"kernel", "rms_norm", rms_norm}};
const FusionRegistrar fusion{{.chain = {"batch_norm2d", "relu"}, .make = with_relu}};

}  // namespace ds::exec::kernels::norm
