// conv2d
#include <ATen/ops/convolution.h>

#include "engine/exec/kernel.h"
#include "engine/exec/padding.h"

namespace ds::exec::kernels::conv {

class Conv2d final : public Kernel {
 public:
  explicit Conv2d(const graph::NodeView& v) : stride_(v.ints("stride")), padding_(v), dilation_(v.ints("dilation")), groups_(v.i("groups")) {}

  void run(StepArgs& a) override {
    at::Tensor x = a.in(), w = a.slot(0), b = a.slot(1);
    if (a.context.autocast && x.scalar_type() == at::kFloat) {
      x = x.to(at::kBFloat16);
      w = w.to(at::kBFloat16);
      if (b.defined()) b = b.to(at::kBFloat16);
    } else if (x.scalar_type() != w.scalar_type()) {
      x = x.to(w.scalar_type());  // an op before it ran in bfloat16
    }
    a.out(at::convolution(padding_.around(x), w, b, stride_, padding_.rest(), dilation_, /*transposed=*/false, {0, 0}, groups_));
  }

 private:
  std::vector<std::int64_t> stride_;
  Padding padding_;
  std::vector<std::int64_t> dilation_;
  std::int64_t groups_;
};

std::unique_ptr<Kernel> make(const BindContext& c) { return std::make_unique<Conv2d>(c.view); }
const core::Body<MakeKernel> body{"kernel", "conv2d", make};

}  // namespace ds::exec::kernels::conv
