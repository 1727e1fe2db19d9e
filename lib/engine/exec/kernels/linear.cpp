// linear, embedding
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::linear {

std::unique_ptr<Kernel> make_linear(const BindContext& c) {
  return kernel([transposed = c.view.b("transposed")](StepArgs& a) {
    const at::Tensor &x = a.in(), w = transposed ? a.slot(0).t() : a.slot(0), &b = a.slot(1);
    if (a.context.autocast && x.is_floating_point() && x.scalar_type() != at::kDouble) {
      a.out(at::linear(x.to(at::kBFloat16), w.to(at::kBFloat16), b.defined() ? b.to(at::kBFloat16) : b));
      return;
    }
    a.out(at::linear(x.scalar_type() == w.scalar_type() ? x : x.to(w.scalar_type()), w, b));
  });
}

std::unique_ptr<Kernel> make_embedding(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::embedding(a.slot(0), a.in())); });
}

const core::Body<MakeKernel> linear_body{"kernel", "linear", make_linear};
const core::Body<MakeKernel> embedding_body{"kernel", "embedding", make_embedding};

}  // namespace ds::exec::kernels::linear
