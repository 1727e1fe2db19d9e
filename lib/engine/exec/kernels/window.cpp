// window_mask
#include <ATen/ops/from_blob.h>

#include "base/graph/windows.h"
#include "engine/exec/kernel.h"

namespace ds::exec::kernels::window_attention {

std::unique_ptr<Kernel> make(const BindContext& c) {
  const graph::NodeView& v = c.view;
  std::vector<float> values = graph::window_mask(v.ints("size"), v.ints("window"), v.ints("shift"), v.f("value"));
  const auto window = v.ints("window");
  const std::int64_t pixels = window[0] * window[1], windows = static_cast<std::int64_t>(values.size()) / (pixels * pixels);
  const at::Tensor mask = at::from_blob(values.data(), {windows, 1, pixels, pixels}, at::TensorOptions().dtype(at::kFloat)).clone();
  return kernel([mask](StepArgs& a) { a.out(mask); });
}

const core::Body<MakeKernel> body{"kernel", "window_mask", make};

}  // namespace ds::exec::kernels::window_attention
