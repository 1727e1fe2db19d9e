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
    const at::ScalarType type = a.layer_type(a.in(), a.slot(0));
    const at::Tensor w = a.slot_as(0, type);
    a.out(at::linear(a.in().to(type), transposed ? w.t() : w, a.slot_as(1, type)));
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
