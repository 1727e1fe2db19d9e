// attention: softmax(scale q k^T + mask) v by heads, one fused call
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <limits>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::attention {

/// The mask in a type in which its lowest value hides any score. The lowest float32 would be minus infinity in bfloat16, and a row of nothing else
/// NaN; the lowest float16 is not low enough beside scores that are summed up in float32.
at::Tensor as_scores(const at::Tensor& mask, at::ScalarType type) {
  if (type == at::kHalf) return mask.to(at::kFloat);
  return mask.scalar_type() != type && type == at::kBFloat16 ? mask.clamp_min(double(std::numeric_limits<c10::BFloat16>::lowest())).to(type) : mask.to(type);
}

/// Query s sees keys 0 to s. Each row keeps its first key, which a mask of padding only lowers: no row is empty.
at::Tensor with_causal(const at::Tensor& mask, std::int64_t queries, std::int64_t keys) {
  const at::Tensor later = at::ones({queries, keys}, mask.options().dtype(at::kBool)).triu(1);
  return mask.masked_fill(later, -std::numeric_limits<double>::infinity());
}

std::unique_ptr<Kernel> make(const BindContext& c) {
  const std::int64_t heads = c.view.i("heads"), kv = c.view.i("kv_heads");
  const double stated = c.view.f("scale");
  const std::optional<double> scale = stated == 0 ? std::nullopt : std::optional<double>(stated);
  return kernel([heads, kv_heads = kv == 0 ? heads : kv, causal = c.view.b("causal"), scale](StepArgs& a) {
    const auto by_heads = [&a](const at::Tensor& x, std::int64_t n) {
      const at::Tensor h = x.unflatten(-1, {n, x.size(-1) / n}).transpose(1, 2);  // [N, heads, S, d]
      return h.to(a.layer_type(h, h));
    };
    const at::Tensor q = by_heads(a.in(0), heads), k = by_heads(a.in(1), kv_heads), v = by_heads(a.in(2), kv_heads);
    std::optional<at::Tensor> mask;
    if (a.inputs() > 3) {
      mask = as_scores(a.in(3), q.scalar_type());
      if (causal) mask = with_causal(*mask, q.size(2), k.size(2));
    }
    const at::Tensor y = at::scaled_dot_product_attention(q, k, v, mask, /*dropout_p=*/0, causal && !mask, scale, /*enable_gqa=*/heads != kv_heads);
    a.out(y.transpose(1, 2).flatten(2));
  });
}

const core::Body<MakeKernel> body{"kernel", "attention", make};

}  // namespace ds::exec::kernels::attention
