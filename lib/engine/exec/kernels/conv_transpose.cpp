// conv_transpose2d
#include <ATen/ops/convolution.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::conv_transpose {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const graph::NodeView& v = c.view;
  return kernel([stride = v.ints("stride"), padding = v.ints("padding"), more = v.ints("output_padding"), dilation = v.ints("dilation"),
                 groups = v.i("groups")](StepArgs& a) {
    at::Tensor x = a.in(), w = a.slot(0), b = a.slot(1);
    if (a.context.autocast && x.scalar_type() == at::kFloat) {
      x = x.to(at::kBFloat16);
      w = w.to(at::kBFloat16);
      if (b.defined()) b = b.to(at::kBFloat16);
    } else if (x.scalar_type() != w.scalar_type()) {
      x = x.to(w.scalar_type());  // an op before it ran in bfloat16
    }
    a.out(at::convolution(x, w, b, stride, padding, dilation, /*transposed=*/true, more, groups));
  });
}

const core::Body<MakeKernel> body{"kernel", "conv_transpose2d", make};

}  // namespace ds::exec::kernels::conv_transpose
