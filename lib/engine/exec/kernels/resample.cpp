// upsample2d
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::resample {

std::unique_ptr<Kernel> make(const BindContext& c) {
  return kernel([scale = c.view.ints("scale"), bilinear = c.view.s("mode") == "bilinear", corners = c.view.b("align_corners")](StepArgs& a) {
    const at::Tensor& x = a.in();
    const std::vector<std::int64_t> size{x.size(2) * scale[0], x.size(3) * scale[1]};
    a.out(bilinear ? at::upsample_bilinear2d(x, size, corners) : at::upsample_nearest2d(x, size));
  });
}

const core::Body<MakeKernel> body{"kernel", "upsample2d", make};

}  // namespace ds::exec::kernels::resample
