// lstm, gru: one direction of one layer
#include <ATen/ops/arange.h>
#include <ATen/ops/gru.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "engine/exec/kernel.h"

namespace ds::exec::kernels::recurrent {

/// Where each sequence's tokens are: int64 [N, S, 1] places of the order turned round, its padding where it was, and which are tokens.
struct Ends {
  at::Tensor turned, valid;
};

Ends ends_of(const at::Tensor& mask) {
  const at::Tensor length = mask.ne(0).sum(1, /*keepdim=*/true), place = at::arange(mask.size(1), mask.options()).unsqueeze(0);  // [N, 1], [1, S]
  const at::Tensor valid = place.lt(length);
  return {at::where(valid, length.sub(1).sub(place), place).unsqueeze(-1), valid.unsqueeze(-1)};
}

at::Tensor take(const at::Tensor& x, const at::Tensor& places) { return x.gather(1, places.expand({-1, -1, x.size(2)})); }

class Recurrent final : public Kernel {
 public:
  Recurrent(const graph::NodeView& v, bool lstm) : lstm_(lstm), reverse_(v.b("reverse")), hidden_(v.i("hidden")) {}

  /// In the type of the weights, under autocast too: rounding errors of a recurrence add up.
  void run(StepArgs& a) override {
    const at::Tensor& w = a.slot(0);
    at::Tensor x = a.in().to(w.scalar_type());
    Ends ends;
    if (a.inputs() > 1) ends = ends_of(a.in(1));
    if (reverse_) x = ends.turned.defined() ? take(x, ends.turned) : x.flip(1);
    at::Tensor y = layer(x, a);
    if (reverse_) y = ends.turned.defined() ? take(y, ends.turned) : y.flip(1);
    a.out(ends.valid.defined() ? y.mul(ends.valid) : y);
  }

 private:
  at::Tensor layer(const at::Tensor& x, const StepArgs& a) const {
    std::vector<at::Tensor> weights{a.slot(0), a.slot(1)};
    const bool biases = a.slot(2).defined(), train = c10::GradMode::is_enabled();
    if (biases) weights.insert(weights.end(), {a.slot(2), a.slot(3)});
    const at::Tensor start = at::zeros({1, x.size(0), hidden_}, x.options());
    if (lstm_) return std::get<0>(at::lstm(x, {start, start}, weights, biases, 1, 0, train, /*bidirectional=*/false, /*batch_first=*/true));
    return std::get<0>(at::gru(x, start, weights, biases, 1, 0, train, /*bidirectional=*/false, /*batch_first=*/true));
  }

  bool lstm_, reverse_;
  std::int64_t hidden_;
};

std::unique_ptr<Kernel> lstm(const BindContext& c) { return std::make_unique<Recurrent>(c.view, true); }
std::unique_ptr<Kernel> gru(const BindContext& c) { return std::make_unique<Recurrent>(c.view, false); }

const core::Body<MakeKernel> bodies[] = {{"kernel", "lstm", lstm}, {"kernel", "gru", gru}};

}  // namespace ds::exec::kernels::recurrent
