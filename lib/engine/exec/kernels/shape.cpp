// Arithmetic of two values, and ops that move elements
#include <ATen/ops/cat.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::shape {

/// Operands of different precision (one side came from a bfloat16 op): the wider one wins.
std::unique_ptr<Kernel> add(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in(0).add(a.in(1))); });
}
std::unique_ptr<Kernel> mul(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in(0).mul(a.in(1))); });
}
std::unique_ptr<Kernel> concat(const BindContext& c) {
  return kernel([axis = c.view.i("axis")](StepArgs& a) {
    std::vector<at::Tensor> parts;
    for (int i = 0; i < a.inputs(); ++i) parts.push_back(a.in(i));
    a.out(at::cat(parts, axis));
  });
}
std::unique_ptr<Kernel> split(const BindContext& c) {
  return kernel([axis = c.view.i("axis"), sizes = c.view.ints("sizes")](StepArgs& a) {
    std::int64_t begin = 0;
    const at::Tensor x = a.in();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      a.out(x.narrow(axis, begin, sizes[i]), int(i));
      begin += sizes[i];
    }
  });
}
std::unique_ptr<Kernel> slice(const BindContext& c) {
  return kernel([axis = c.view.i("axis"), begin = c.view.i("begin"), end = c.view.i("end")](StepArgs& a) { a.out(a.in().slice(axis, begin, end)); });
}
std::unique_ptr<Kernel> select(const BindContext& c) {
  return kernel([axis = c.view.i("axis"), index = c.view.i("index")](StepArgs& a) { a.out(a.in().select(axis, index)); });
}
std::unique_ptr<Kernel> reshape(const BindContext& c) {
  return kernel([shape = c.view.ints("shape")](StepArgs& a) {
    std::vector<std::int64_t> sizes = shape;
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i] == 0) sizes[i] = a.in().size(std::int64_t(i));
    a.out(a.in().reshape(sizes));  // logical order [N, C, H, W], whatever the memory format
  });
}
std::unique_ptr<Kernel> flatten(const BindContext& c) {
  return kernel([start = c.view.i("start"), end = c.view.i("end")](StepArgs& a) { a.out(a.in().flatten(start, end)); });
}
std::unique_ptr<Kernel> permute(const BindContext& c) {
  return kernel([dims = c.view.ints("dims")](StepArgs& a) { a.out(a.in().permute(dims)); });
}
std::unique_ptr<Kernel> mean(const BindContext& c) {
  return kernel([axes = c.view.ints("axes"), keep = c.view.b("keepdim")](StepArgs& a) { a.out(a.in().mean(axes, keep)); });
}
std::unique_ptr<Kernel> tensor(const BindContext&) {
  return kernel([](StepArgs& a) {
    const at::Tensor& value = a.slot(0);
    if (a.inputs() == 0) return a.out(value);
    std::vector<std::int64_t> sizes = value.sizes().vec();
    sizes[0] = a.in().size(0);
    a.out(value.expand(sizes));
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "add", add},         {"kernel", "mul", mul},         {"kernel", "concat", concat},
                                         {"kernel", "split", split},     {"kernel", "slice", slice},     {"kernel", "select", select},
                                         {"kernel", "reshape", reshape}, {"kernel", "flatten", flatten}, {"kernel", "permute", permute},
                                         {"kernel", "mean", mean},       {"kernel", "tensor", tensor}};

}  // namespace ds::exec::kernels::shape
