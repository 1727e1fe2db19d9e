// Ops of sequences of tokens, against values by hand.
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/exec/executor.h"

using namespace ds;
using graph::DType;

namespace {

graph::Dim sym(const char* name) { return graph::Dim::symbol(name); }

exec::Model on_ids(const std::string& op, const graph::Json& attrs = graph::Json::object()) {
  graph::Builder b;
  b.output("y", b.node(op, "node", {b.input("ids", DType::kI64, {sym("N"), sym("S")})}, attrs));
  return exec::make_model(b.finish(), 1);
}

at::Tensor ids(std::vector<std::int64_t> values, std::int64_t rows) { return at::tensor(values).reshape({rows, -1}); }
at::Tensor run(exec::Model model, const std::vector<at::Tensor>& inputs, const exec::RunContext& context = {}) {
  return exec::Executor(model).run(inputs, context).at(0);
}

/// Attention of one head of 2 over q, k, v [N, S, 2] with a mask of padding.
exec::Model masked_attention(bool causal) {
  graph::Builder b;
  std::vector<graph::Value> in;
  for (const char* name : {"q", "k", "v"}) in.push_back(b.input(name, DType::kF32, {sym("N"), sym("S"), 2}));
  in.push_back(b.node("key_mask", "mask", {b.input("attention_mask", DType::kI64, {sym("N"), sym("S")})}));
  b.output("y", b.node("attention", "attend", in, {{"heads", 1}, {"causal", causal}, {"scale", 0.5}}));
  return exec::make_model(b.finish(), 1);
}

at::Tensor wave(std::vector<std::int64_t> shape, double step) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kDouble)).mul(step).sin().reshape(shape);
}

}  // namespace

TEST_CASE("tokens: a mask of keys is 0 where there is a token and the lowest float where there is padding") {
  const at::Tensor y = run(on_ids("key_mask"), {ids({1, 1, 0, 1, 0, 0}, 2)});
  const float low = std::numeric_limits<float>::lowest();
  CHECK(y.equal(at::tensor({0.f, 0.f, low, 0.f, low, low}).reshape({2, 1, 1, 3})));
}

TEST_CASE("tokens: positions from 0, or counted without the padding") {
  const at::Tensor in = ids({5, 6, 1, 1, 7, 1, 8, 9}, 2);
  CHECK(run(on_ids("position_ids"), {in}).equal(ids({0, 1, 2, 3}, 1)));
  CHECK(run(on_ids("position_ids", {{"padding_idx", 1}}), {in}).equal(ids({2, 3, 1, 1, 2, 1, 3, 4}, 2)));
  CHECK(run(on_ids("position_ids", {{"limit", 4}}), {in}).size(1) == 4);
  CHECK_THROWS_WITH_AS(run(on_ids("position_ids", {{"limit", 3}}), {in}), doctest::Contains("a sequence of 4 tokens, expected at most 3"), Error);
  CHECK_THROWS_WITH_AS(run(on_ids("position_ids", {{"limit", 5}, {"padding_idx", 1}}), {in}), doctest::Contains("a sequence of 4 tokens, expected at most 3"), Error);
}

TEST_CASE("tokens: what is in no row of a table is told with the table's size") {
  exec::Model model = on_ids("embedding", {{"num_embeddings", 5}, {"dim", 3}});
  CHECK(run(model, {ids({0, 4}, 1)}).sizes().vec() == std::vector<std::int64_t>{1, 2, 3});
  CHECK_THROWS_WITH_AS(run(model, {ids({0, 5, 9, 1}, 2)}), doctest::Contains("node 'node' (embedding): looks up row 9 of a table of 5"), Error);
  CHECK_THROWS_WITH_AS(run(model, {ids({0, -1, 3, 1}, 2)}), doctest::Contains("looks up row -1 of a table of 5"), Error);
}

TEST_CASE("tokens: the mean over the tokens that are there, 0 where none is") {
  graph::Builder b;
  const graph::Value x = b.input("x", DType::kF32, {sym("N"), sym("S"), 2});
  b.output("y", b.node("masked_mean", "node", {x, b.input("mask", DType::kI64, {sym("N"), sym("S")})}));
  exec::Model model = exec::make_model(b.finish(), 1);
  const at::Tensor in = at::tensor({1.f, 2.f, 3.f, 6.f, 100.f, 100.f, 7.f, 7.f, 7.f, 7.f, 7.f, 7.f}).reshape({2, 3, 2});
  CHECK(run(model, {in, ids({1, 1, 0, 0, 0, 0}, 2)}).equal(at::tensor({2.f, 4.f, 0.f, 0.f}).reshape({2, 2})));
}

TEST_CASE("tokens: vectors of norm 1, and 0 stays 0") {
  graph::Builder b;
  b.output("y", b.node("l2_normalize", "node", {b.input("x", DType::kF32, {sym("N"), 2})}));
  const at::Tensor y = run(exec::make_model(b.finish(), 1), {at::tensor({3.f, -4.f, 0.f, 0.f}).reshape({2, 2})});
  CHECK(y.sub(at::tensor({0.6f, -0.8f, 0.f, 0.f}).reshape({2, 2})).abs().max().item<double>() <= 1e-7);
}

TEST_CASE("tokens: attention with padding and a view of the past alone is the softmax over the keys that are left") {
  const at::Tensor q = wave({2, 4, 2}, 0.7), k = wave({2, 4, 2}, 1.1), v = wave({2, 4, 2}, 0.3), mask = ids({1, 1, 1, 0, 1, 0, 1, 1}, 2);
  for (const bool causal : {false, true}) {
    const at::Tensor y = run(masked_attention(causal), {q, k, v, mask});
    REQUIRE((y.scalar_type() == at::kDouble));
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t s = 0; s < 4; ++s) {
        double sum = 0, a = 0, c = 0;
        for (std::int64_t t = 0; t < (causal ? s + 1 : 4); ++t) {
          if (mask[n][t].item<std::int64_t>() == 0) continue;
          const double w = std::exp(0.5 * q[n][s].dot(k[n][t]).item<double>());
          sum += w, a += w * v[n][t][0].item<double>(), c += w * v[n][t][1].item<double>();
        }
        CHECK(y[n][s][0].item<double>() == doctest::Approx(a / sum).epsilon(1e-12));
        CHECK(y[n][s][1].item<double>() == doctest::Approx(c / sum).epsilon(1e-12));
      }
  }
}

TEST_CASE("tokens: a row of padding alone weighs its keys alike in every type, and none that is ahead") {
  const at::Tensor q = wave({1, 3, 2}, 0.7), v = wave({1, 3, 2}, 0.3), none = ids({0, 0, 0}, 1);
  for (const bool causal : {false, true})
    for (const at::ScalarType type : {at::kDouble, at::kFloat})
      for (const at::ScalarType autocast : {at::ScalarType::Undefined, at::kBFloat16, at::kHalf}) {
        const at::Tensor y = run(masked_attention(causal), {q.to(type), q.to(type), v.to(type), none}, {.autocast = autocast}).to(at::kDouble);
        for (std::int64_t s = 0; s < 3; ++s) {
          const at::Tensor mean = v[0].slice(0, 0, causal ? s + 1 : 3).mean(0);
          CHECK(y[0][s].sub(mean).abs().max().item<double>() <= (autocast != at::ScalarType::Undefined && type == at::kFloat ? 0.02 : 1e-6));
        }
      }
}
