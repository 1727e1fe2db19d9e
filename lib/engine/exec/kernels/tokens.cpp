// key_mask, position_ids, masked_mean, l2_normalize
#include <ATen/ops/alias.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <limits>

#include "base/core/error.h"
#include "engine/exec/kernel.h"

namespace ds::exec::kernels::tokens {

std::unique_ptr<Kernel> key_mask(const BindContext&) {
  return kernel([](StepArgs& a) {
    const at::Tensor padding = a.in().eq(0).unsqueeze(1).unsqueeze(1);  // [N, 1, 1, S]
    a.out(at::zeros(padding.sizes(), padding.options().dtype(at::kFloat)).masked_fill_(padding, std::numeric_limits<float>::lowest()));
  });
}

std::unique_ptr<Kernel> position_ids(const BindContext& c) {
  const std::int64_t padding = c.view.i("padding_idx"), limit = c.view.i("limit");
  return kernel([padding, limit, where = c.view.where()](StepArgs& a) {
    const std::int64_t s = a.in().size(1), longest = limit - padding - 1;
    if (limit > 0 && s > longest)
      throw Error(Exit::kInput, where, fmt::format("a sequence of {} tokens, expected at most {}", s, longest), "cut the texts to the net's length");
    if (padding < 0) return a.out(at::arange(s, a.in().options()).unsqueeze(0));
    const at::Tensor token = a.in().ne(padding).to(at::kLong);
    a.out(token.cumsum(1).mul(token).add(padding));
  });
}

std::unique_ptr<Kernel> masked_mean(const BindContext&) {
  return kernel([](StepArgs& a) {
    const at::Tensor& x = a.in(0);
    const at::Tensor wide = at::isReducedFloatingType(x.scalar_type()) ? x.to(at::kFloat) : x;
    const at::Tensor mask = a.in(1).ne(0).to(wide.scalar_type()).unsqueeze(-1);  // [N, S, 1]
    a.out(wide.mul(mask).sum(1).div(mask.sum(1).clamp_min(1)));
  });
}

std::unique_ptr<Kernel> l2_normalize(const BindContext& c) {
  return kernel([eps = c.view.f("eps")](StepArgs& a) {
    const at::Tensor& x = a.in();
    const at::Tensor wide = at::isReducedFloatingType(x.scalar_type()) ? x.to(at::kFloat) : at::alias(x);  // read twice: checkpoint.h
    a.out(wide.div(wide.norm(2, -1, /*keepdim=*/true).clamp_min(eps)));
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "key_mask", key_mask},
                                         {"kernel", "position_ids", position_ids},
                                         {"kernel", "masked_mean", masked_mean},
                                         {"kernel", "l2_normalize", l2_normalize}};

}  // namespace ds::exec::kernels::tokens
