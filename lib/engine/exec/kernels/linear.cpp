// linear, embedding
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "engine/exec/kernel.h"

namespace ds::exec::kernels::linear {

std::unique_ptr<Kernel> make_linear(const BindContext& c) {
  return kernel([transposed = c.view.b("transposed")](StepArgs& a) {
    const at::Tensor &x = a.in(), w = transposed ? a.slot(0).t() : a.slot(0), &b = a.slot(1);
    if (a.context.autocast && x.is_floating_point() && x.scalar_type() != at::kDouble) {
      a.out(at::linear(x.to(at::kBFloat16), w.to(at::kBFloat16), b.defined() ? b.to(at::kBFloat16) : b));
      return;
    }
    a.out(at::linear(x.scalar_type() == w.scalar_type() ? x : x.to(w.scalar_type()), w, b));
  });
}

std::unique_ptr<Kernel> make_embedding(const BindContext& c) {
  return kernel([where = c.view.where()](StepArgs& a) {
    try {
      a.out(at::embedding(a.slot(0), a.in()));
    } catch (const c10::Error&) {  // on a CPU the look-up itself checks; who is right is looked at only then
      const std::int64_t rows = a.slot(0).size(0);
      if (a.in().numel() == 0) throw;
      const std::int64_t low = a.in().min().item<std::int64_t>(), high = a.in().max().item<std::int64_t>();
      if (low >= 0 && high < rows) throw;
      throw Error(Exit::kInput, where, fmt::format("looks up row {} of a table of {}", low < 0 ? low : high, rows),
                  "the data and the model need one vocabulary: take the model's tokenizer");
    }
  });
}

const core::Body<MakeKernel> linear_body{"kernel", "linear", make_linear};
const core::Body<MakeKernel> embedding_body{"kernel", "embedding", make_embedding};

}  // namespace ds::exec::kernels::linear
