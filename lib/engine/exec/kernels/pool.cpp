// Pooling
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/max_pool2d.h>

#include "engine/exec/kernel.h"
#include "engine/exec/nhwc.h"

namespace ds::exec::kernels::pool {

std::unique_ptr<Kernel> max_pool2d(const BindContext& c) {
  const auto size = c.view.ints("kernel"), stride = c.view.ints("stride"), padding = c.view.ints("padding");
  const std::vector<std::int64_t> two{2, 2}, none{0, 0};
  const bool ceil = c.view.b("ceil_mode");
  const bool small = size == two && stride == two && padding == none && !ceil;
  return kernel([=](StepArgs& a) {
    const at::Tensor& x = a.in();
    a.out(small && is_nhwc(x) && x.size(2) > 1 && x.size(3) > 1 ? max_pool2x2(x) : at::max_pool2d(x, size, stride, padding, /*dilation=*/1, ceil));
  });
}

std::unique_ptr<Kernel> avg_pool2d(const BindContext& c) {
  return kernel([size = c.view.ints("kernel"), stride = c.view.ints("stride"), padding = c.view.ints("padding"),
                 count = c.view.b("count_include_pad")](StepArgs& a) { a.out(at::avg_pool2d(a.in(), size, stride, padding, /*ceil_mode=*/false, count)); });
}

std::unique_ptr<Kernel> adaptive_avg_pool2d(const BindContext& c) {
  return kernel([size = c.view.ints("size")](StepArgs& a) { a.out(at::adaptive_avg_pool2d(a.in(), size)); });
}

std::unique_ptr<Kernel> global_avg_pool(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in().mean({2, 3}, /*keepdim=*/true)); });
}

const core::Body<MakeKernel> bodies[] = {
    {"kernel", "max_pool2d", max_pool2d}, {"kernel", "avg_pool2d", avg_pool2d}, {"kernel", "adaptive_avg_pool2d", adaptive_avg_pool2d},
    {"kernel", "global_avg_pool", global_avg_pool}};

}  // namespace ds::exec::kernels::pool
