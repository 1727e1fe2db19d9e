// gather
#include <ATen/ops/index_select.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::gather {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const auto rank = static_cast<std::int64_t>(c.view.input().dims.size());
  return kernel([axis = (c.view.i("axis") + rank) % rank](StepArgs& a) {
    const at::Tensor &x = a.in(0), &index = a.in(1);
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.erase(sizes.begin() + axis);
    sizes.insert(sizes.begin() + axis, index.sizes().begin(), index.sizes().end());
    a.out(at::index_select(x, axis, index.reshape({-1})).reshape(sizes));
  });
}

const core::Body<MakeKernel> body{"kernel", "gather", make};

}  // namespace ds::exec::kernels::gather
