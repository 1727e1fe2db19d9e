// pad, roll
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/roll.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::pad {

std::unique_ptr<Kernel> make_pad(const BindContext& c) {
  const auto rank = static_cast<std::int64_t>(c.view.input().dims.size());
  const auto axes = c.view.ints("axes"), before = c.view.ints("before"), after = c.view.ints("after");
  std::vector<std::int64_t> sides(static_cast<std::size_t>(2 * rank), 0);  // from the last axis on, as torch wants them
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    const auto at = static_cast<std::size_t>(2 * (rank - 1 - axis));
    sides[at] = before[i];
    sides[at + 1] = after[i];
  }
  while (!sides.empty() && sides.back() == 0 && sides[sides.size() - 2] == 0) sides.resize(sides.size() - 2);
  return kernel([sides, value = c.view.f("value")](StepArgs& a) { a.out(sides.empty() ? a.in() : at::constant_pad_nd(a.in(), sides, value)); });
}

std::unique_ptr<Kernel> make_roll(const BindContext& c) {
  return kernel([axes = c.view.ints("axes"), shifts = c.view.ints("shifts")](StepArgs& a) {
    a.out(axes.empty() ? a.in() : at::roll(a.in(), shifts, axes));
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "pad", make_pad}, {"kernel", "roll", make_roll}};

}  // namespace ds::exec::kernels::pad
