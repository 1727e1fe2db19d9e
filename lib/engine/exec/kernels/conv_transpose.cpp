// conv_transpose2d
#include <ATen/ops/convolution.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::conv_transpose {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const graph::NodeView& v = c.view;
  return kernel([stride = v.ints("stride"), padding = v.ints("padding"), more = v.ints("output_padding"), dilation = v.ints("dilation"),
                 groups = v.i("groups")](StepArgs& a) {
    const at::ScalarType type = a.layer_type(a.in(), a.slot(0));
    a.out(at::convolution(a.in().to(type), a.slot_as(0, type), a.slot_as(1, type), stride, padding, dilation, /*transposed=*/true, more, groups));
  });
}

const core::Body<MakeKernel> body{"kernel", "conv_transpose2d", make};

}  // namespace ds::exec::kernels::conv_transpose
