// clamp, exp
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::math {

std::unique_ptr<Kernel> clamp(const BindContext& c) {
  return kernel([least = c.view.f("min"), most = c.view.f("max")](StepArgs& a) { a.out(at::clamp(a.in(), least, most)); });
}
std::unique_ptr<Kernel> exp(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::exp(a.in())); });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "clamp", clamp}, {"kernel", "exp", exp}};

}  // namespace ds::exec::kernels::math
