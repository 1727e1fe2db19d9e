// Functions of one element, softmax, dropout
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>

#include "engine/exec/kernel.h"
#include "engine/exec/random.h"

namespace ds::exec::kernels::activation {

std::unique_ptr<Kernel> relu(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in().relu()); });
}
std::unique_ptr<Kernel> relu6(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::hardtanh(a.in(), 0, 6)); });
}
std::unique_ptr<Kernel> sigmoid(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in().sigmoid()); });
}
std::unique_ptr<Kernel> tanh(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in().tanh()); });
}
std::unique_ptr<Kernel> silu(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::silu(a.in())); });
}
std::unique_ptr<Kernel> hardswish(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::hardswish(a.in())); });
}
std::unique_ptr<Kernel> hardsigmoid(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(at::hardsigmoid(a.in())); });
}
std::unique_ptr<Kernel> gelu(const BindContext& c) {
  return kernel([mode = c.view.s("approximate")](StepArgs& a) { a.out(at::gelu(a.in(), mode)); });
}
std::unique_ptr<Kernel> scale(const BindContext& c) {
  return kernel([factor = c.view.f("factor")](StepArgs& a) { a.out(a.in().mul(factor)); });
}
std::unique_ptr<Kernel> softmax(const BindContext& c) {
  return kernel([axis = c.view.i("axis")](StepArgs& a) { a.out(at::softmax(a.in(), axis)); });
}
std::unique_ptr<Kernel> identity(const BindContext&) {
  return kernel([](StepArgs& a) { a.out(a.in()); });
}

/// The node's name is part of the key: two dropouts of one net draw different masks.
std::unique_ptr<Kernel> dropout(const BindContext& c) {
  return kernel([p = c.view.f("p"), name = c.view.node().name](StepArgs& a) {
    const RunContext& r = a.context;
    a.out(r.training ? exec::dropout(a.in(), p, stream_key(r.seed, "dropout", name), r.step, r.sample_ids) : a.in());
  });
}
/// The mask of one element a channel, [N, C, ...].
std::unique_ptr<Kernel> dropout2d(const BindContext& c) {
  return kernel([p = c.view.f("p"), name = c.view.node().name](StepArgs& a) {
    const RunContext& r = a.context;
    const at::Tensor& x = a.in();
    if (!r.training || p <= 0) return a.out(x);
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape[0] = x.size(0);
    if (x.dim() > 1) shape[1] = x.size(1);
    const at::Tensor ones = at::ones({shape[0], x.dim() > 1 ? shape[1] : 1}, x.options().requires_grad(false));
    a.out(x.mul(exec::dropout(ones, p, stream_key(r.seed, "dropout", name), r.step, r.sample_ids).view(shape)));
  });
}
std::unique_ptr<Kernel> drop_path(const BindContext& c) {
  return kernel([p = c.view.f("p"), name = c.view.node().name](StepArgs& a) {
    const RunContext& r = a.context;
    a.out(r.training ? exec::drop_path(a.in(), p, stream_key(r.seed, "drop_path", name), r.step, r.sample_ids) : a.in());
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "relu", relu},       {"kernel", "relu6", relu6},         {"kernel", "sigmoid", sigmoid},
                                         {"kernel", "tanh", tanh},       {"kernel", "silu", silu},           {"kernel", "hardswish", hardswish},
                                         {"kernel", "gelu", gelu},       {"kernel", "softmax", softmax},     {"kernel", "hardsigmoid", hardsigmoid},
                                         {"kernel", "identity", identity}, {"kernel", "dropout", dropout},   {"kernel", "drop_path", drop_path},
                                         {"kernel", "dropout2d", dropout2d},
                                         {"kernel", "scale", scale}};

}  // namespace ds::exec::kernels::activation
