// reorder: elements of an axis in another order
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::reorder {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const at::Tensor order = at::tensor(c.view.ints("order"), at::TensorOptions().dtype(at::kLong));
  return kernel([order, axis = c.view.i("axis")](StepArgs& a) {
    const at::Tensor& x = a.in();
    const bool last = x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast);  // index_select would give the other format
    a.out(last && axis == 1 ? at::index_select(x.permute({0, 2, 3, 1}), 3, order).permute({0, 3, 1, 2}) : at::index_select(x, axis, order));
  });
}

const core::Body<MakeKernel> body{"kernel", "reorder", make};

}  // namespace ds::exec::kernels::reorder
