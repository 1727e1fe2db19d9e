// LSTM and GRU, a step at a time by the equations of the standard
#include <ATen/ATen.h>

#include "engine/reference/call.h"

namespace ds::reference::recurrent {

using Values = std::vector<at::Tensor>;

struct State {
  at::Tensor h, c;
};

/// One step of rows [N, .]: `w` [gates H, F], `r` [gates H, H], biases [gates H].
using Step = State (*)(const Call& call, const at::Tensor& x, const State& s, const at::Tensor& w, const at::Tensor& r, const at::Tensor& wb,
                       const at::Tensor& rb);

State lstm_step(const Call&, const at::Tensor& x, const State& s, const at::Tensor& w, const at::Tensor& r, const at::Tensor& wb, const at::Tensor& rb) {
  const Values gate = (at::matmul(x, w.t()) + at::matmul(s.h, r.t()) + wb + rb).chunk(4, -1);  // input, output, forget, cell
  const at::Tensor c = gate[2].sigmoid() * s.c + gate[0].sigmoid() * gate[3].tanh();
  return {gate[1].sigmoid() * c.tanh(), c};
}

State gru_step(const Call& call, const at::Tensor& x, const State& s, const at::Tensor& w, const at::Tensor& r, const at::Tensor& wb, const at::Tensor& rb) {
  const Values a = (at::matmul(x, w.t()) + wb).chunk(3, -1), rows = r.chunk(3, 0), b = rb.chunk(3, -1);  // update, reset, new
  const at::Tensor update = (a[0] + at::matmul(s.h, rows[0].t()) + b[0]).sigmoid(), reset = (a[1] + at::matmul(s.h, rows[1].t()) + b[1]).sigmoid();
  const at::Tensor fresh = call.i("linear_before_reset", 0) != 0 ? (a[2] + reset * (at::matmul(s.h, rows[2].t()) + b[2])).tanh()
                                                                 : (a[2] + at::matmul(reset * s.h, rows[2].t()) + b[2]).tanh();
  return {(1 - update) * fresh + update * s.h, {}};
}

/// Behind its length a sequence's output is 0 and its state stays; in reverse it begins at its last token.
Values layer(const Call& c, Step step, std::int64_t gates) {
  for (const char* attribute : {"activations", "clip", "layout", "input_forget", "activation_alpha", "activation_beta"})
    if (c.stated(attribute) && !(std::string(attribute) == "layout" && c.i("layout", 0) == 0)) c.fail(std::string("states ") + attribute);
  if (c.has(7)) c.fail("has peepholes");
  const at::Tensor& x = c.in(0);  // [S, N, F]
  const std::int64_t length = x.size(0), n = x.size(1), directions = c.in(1).size(0), hidden = c.in(2).size(2);
  const std::string direction = c.s("direction", "forward");
  const at::Tensor lengths = c.has(4) ? c.in(4).to(at::kLong) : at::full({n}, length, at::kLong);
  Values outputs, last_h, last_c;
  for (std::int64_t d = 0; d < directions; ++d) {
    const bool reverse = direction == "reverse" || d == 1;
    const at::Tensor bias = c.has(3) ? c.in(3)[d] : at::zeros({2 * gates * hidden}, x.options());
    const at::Tensor wb = bias.slice(0, 0, gates * hidden), rb = bias.slice(0, gates * hidden);
    State s{c.has(5) ? c.in(5)[d] : at::zeros({n, hidden}, x.options()), c.has(6) ? c.in(6)[d] : at::zeros({n, hidden}, x.options())};
    Values y(static_cast<std::size_t>(length));
    for (std::int64_t k = 0; k < length; ++k) {
      const std::int64_t t = reverse ? length - 1 - k : k;
      const at::Tensor within = lengths.gt(t).unsqueeze(-1);
      State next = step(c, x[t], s, c.in(1)[d], c.in(2)[d], wb, rb);
      y[static_cast<std::size_t>(t)] = at::where(within, next.h, at::zeros_like(next.h));
      s.h = at::where(within, next.h, s.h);
      if (next.c.defined()) s.c = at::where(within, next.c, s.c);
    }
    outputs.push_back(at::stack(y));
    last_h.push_back(s.h);
    last_c.push_back(s.c);
  }
  return {at::stack(outputs, 1), at::stack(last_h), at::stack(last_c)};  // [S, directions, N, H]
}

Values lstm(const Call& c) { return layer(c, lstm_step, 4); }
Values gru(const Call& c) { return layer(c, gru_step, 3); }

const core::Body<NodeOp> bodies[] = {{"onnx-reference", "LSTM", lstm}, {"onnx-reference", "GRU", gru}};

}  // namespace ds::reference::recurrent
