// attention: softmax(q k^T / sqrt(d) + mask) v by heads, one fused call
#include <ATen/ops/scaled_dot_product_attention.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::attention {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const std::int64_t heads = c.view.i("heads"), kv = c.view.i("kv_heads");
  return kernel([heads, kv_heads = kv == 0 ? heads : kv, causal = c.view.b("causal")](StepArgs& a) {
    const auto by_heads = [&a](const at::Tensor& x, std::int64_t n) {
      const at::Tensor h = x.unflatten(-1, {n, x.size(-1) / n}).transpose(1, 2);  // [N, heads, S, d]
      return a.context.autocast && h.scalar_type() == at::kFloat ? h.to(at::kBFloat16) : h;
    };
    const at::Tensor q = by_heads(a.in(0), heads), k = by_heads(a.in(1), kv_heads), v = by_heads(a.in(2), kv_heads);
    std::optional<at::Tensor> mask;
    if (a.inputs() > 3) mask = a.in(3).to(q.scalar_type());
    const at::Tensor y = at::scaled_dot_product_attention(q, k, v, mask, /*dropout_p=*/0, causal, /*scale=*/std::nullopt, /*enable_gqa=*/heads != kv_heads);
    a.out(y.transpose(1, 2).flatten(2));
  });
}

const core::Body<MakeKernel> body{"kernel", "attention", make};

}  // namespace ds::exec::kernels::attention
