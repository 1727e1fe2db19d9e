// conv2d, conv1d
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution.h>

#include "engine/exec/kernel.h"
#include "engine/exec/padding.h"

namespace ds::exec::kernels::conv {

struct Operands {
  at::Tensor x, weight, bias;
};

Operands operands(const StepArgs& a) {
  const at::ScalarType type = a.layer_type(a.in(), a.slot(0));
  return {a.in().to(type), a.slot_as(0, type), a.slot_as(1, type)};
}

class Conv2d final : public Kernel {
 public:
  explicit Conv2d(const graph::NodeView& v) : stride_(v.ints("stride")), padding_(v), dilation_(v.ints("dilation")), groups_(v.i("groups")) {}

  void run(StepArgs& a) override {
    const auto [x, w, b] = operands(a);
    a.out(at::convolution(padding_.around(x), w, b, stride_, padding_.rest(), dilation_, /*transposed=*/false, {0, 0}, groups_));
  }

 private:
  std::vector<std::int64_t> stride_;
  Padding padding_;
  std::vector<std::int64_t> dilation_;
  std::int64_t groups_;
};

class Conv1d final : public Kernel {
 public:
  explicit Conv1d(const graph::NodeView& v)
      : before_(v.ints("padding").front()), after_(v.ints("padding").back()), stride_(v.i("stride")), dilation_(v.i("dilation")), groups_(v.i("groups")) {}

  void run(StepArgs& a) override {
    const auto [x, w, b] = operands(a);
    const bool even = before_ == after_;
    const at::Tensor padded = even ? x : at::constant_pad_nd(x, {before_, after_}, 0);
    a.out(at::convolution(padded, w, b, {stride_}, {even ? before_ : 0}, {dilation_}, /*transposed=*/false, {0}, groups_));
  }

 private:
  std::int64_t before_, after_, stride_, dilation_, groups_;
};

std::unique_ptr<Kernel> conv2d(const BindContext& c) { return std::make_unique<Conv2d>(c.view); }
std::unique_ptr<Kernel> conv1d(const BindContext& c) { return std::make_unique<Conv1d>(c.view); }
const core::Body<MakeKernel> bodies[] = {{"kernel", "conv2d", conv2d}, {"kernel", "conv1d", conv1d}};

}  // namespace ds::exec::kernels::conv
