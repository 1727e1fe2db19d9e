// Initialisers against their formulas, and random streams against threads and dtypes.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "base/core/error.h"
#include "engine/exec/init.h"
#include "engine/exec/model.h"
#include "engine/exec/random.h"

using namespace ds;
using graph::Json;

namespace {

at::Tensor made(const Json& init, std::vector<std::int64_t> shape = {400, 250}, const std::string& name = "w", std::uint64_t seed = 1,
                at::ScalarType dtype = at::kDouble) {
  at::Tensor t = at::empty(shape, at::TensorOptions().dtype(dtype));
  exec::initialise(t, {name, exec::dtype_of(dtype), shape, graph::Role::kParameter, init}, seed);
  return t;
}

struct Moments {
  double mean, std, low, high;
};
Moments moments(const at::Tensor& t) {
  return {t.mean().item<double>(), t.std().item<double>(), t.min().item<double>(), t.max().item<double>()};
}

/// Calls f with 1 and with 3 threads.
template <class F>
void with_threads(F f) {
  const int before = at::get_num_threads();
  for (const int n : {1, 3}) {
    at::set_num_threads(n);
    f();
  }
  at::set_num_threads(before);
}

}  // namespace

// 100,000 values: a mean is within 5 s / sqrt(n) = 0.016 s, a deviation within 1 %.
TEST_CASE("init: uniform kinds have the bounds of their formulas") {
  const auto check = [](const Json& init, double bound) {
    CAPTURE(init.dump());
    const Moments m = moments(made(init));
    CHECK(m.low >= -bound);
    CHECK(m.high <= bound);
    CHECK(m.low <= -0.999 * bound);
    CHECK(m.high >= 0.999 * bound);
    CHECK(m.std == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.01));
    CHECK(std::abs(m.mean) <= 0.016 * m.std);
  };
  // PyTorch's default of conv and linear, a = sqrt(5): 1 / sqrt(fan_in).
  check({{"kind", "kaiming_uniform"}, {"a", std::sqrt(5.0)}, {"fan_in", 250}}, 1 / std::sqrt(250.0));
  check({{"kind", "kaiming_uniform"}, {"a", 0.0}, {"fan_in", 250}}, std::sqrt(6.0 / 250));
  check({{"kind", "xavier_uniform"}, {"fan_in", 250}, {"fan_out", 400}}, std::sqrt(6.0 / 650));
  check({{"kind", "uniform"}, {"a", -0.3}, {"b", 0.3}}, 0.3);
}

TEST_CASE("init: normal kinds have the deviations of their formulas") {
  const auto check = [](const Json& init, double mean, double std) {
    CAPTURE(init.dump());
    const Moments m = moments(made(init));
    CHECK(m.mean == doctest::Approx(mean).epsilon(0.02));
    CHECK(m.std == doctest::Approx(std).epsilon(0.01));
  };
  check({{"kind", "kaiming_normal"}, {"fan", 3600}, {"gain", std::sqrt(2.0)}}, 0, std::sqrt(2.0 / 3600));
  check({{"kind", "normal"}, {"mean", 3.0}, {"std", 0.5}}, 3, 0.5);
  const at::Tensor cut = made({{"kind", "truncated_normal"}, {"std", 0.02}});
  const Moments m = moments(cut);
  CHECK(m.low >= -0.04);
  CHECK(m.high <= 0.04);
  CHECK(m.std == doctest::Approx(0.02 * 0.8796256610342398).epsilon(0.01));  // variance 1 - 4 phi(2) / (2 Phi(2) - 1)
  const at::Tensor normal = made({{"kind", "normal"}, {"mean", 0.0}, {"std", 1.0}});
  CHECK(normal.abs().lt(1).to(at::kDouble).mean().item<double>() == doctest::Approx(0.6827).epsilon(0.01));
  CHECK(normal.abs().lt(2).to(at::kDouble).mean().item<double>() == doctest::Approx(0.9545).epsilon(0.005));
}

TEST_CASE("init: constants, and what is not known") {
  CHECK(made({{"kind", "zeros"}}, {3}).equal(at::ones({3}, at::kDouble).mul(0)));
  CHECK(made({{"kind", "ones"}}, {3}).equal(at::ones({3}, at::kDouble)));
  CHECK(made({{"kind", "constant"}, {"value", 2.5}}, {3}).equal(at::ones({3}, at::kDouble).mul(2.5)));
  CHECK(made(nullptr, {3}).equal(at::ones({3}, at::kDouble).mul(0)));
  CHECK_THROWS_WITH_AS(made({{"kind", "sparse"}}, {3}), doctest::Contains("unknown initialiser 'sparse'"), Error);
}

TEST_CASE("init: a draw depends on seed, name and element alone, not on threads, dtype or what else there is") {
  const Json init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 1.0}};
  const at::Tensor one = made(init);
  with_threads([&] { CHECK(made(init).equal(one)); });
  CHECK(made(init, {100000}).equal(one.flatten()));
  CHECK(made(init, {1000}).equal(one.flatten().narrow(0, 0, 1000)));
  CHECK(made(init, {400, 250}, "w", 1, at::kFloat).equal(one.to(at::kFloat)));
  CHECK(made(init, {400, 250}, "w", 1, at::kBFloat16).equal(one.to(at::kBFloat16)));
  CHECK_FALSE(made(init, {400, 250}, "v").equal(one));
  CHECK_FALSE(made(init, {400, 250}, "w", 2).equal(one));
  // low + (high - low) u, of the same u.
  const at::Tensor unit = made({{"kind", "uniform"}, {"a", 0.0}, {"b", 1.0}}), wide = made({{"kind", "uniform"}, {"a", -2.0}, {"b", 6.0}});
  CHECK(unit.mul(8).sub(2).equal(wide));
}

TEST_CASE("random: a stream's key takes in every part, and where one ends") {
  const auto key = [](std::uint64_t seed, const char* purpose, const char* node) { return exec::stream_key(seed, purpose, node); };
  const std::vector<std::uint64_t> keys = {key(1, "dropout", "a"), key(2, "dropout", "a"), key(1, "init", "a"), key(1, "dropout", "b"),
                                           key(1, "dropouta", ""), key(1, "dropout", "")};
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(keys[i] != keys[j]);
  exec::Stream a(keys[0], 3, 7), b(keys[0], 3, 7), c(keys[0], 3, 8), d(keys[0], 4, 7);
  const std::uint32_t word = a.next();
  CHECK(b.next() == word);
  CHECK(c.next() != word);
  CHECK(d.next() != word);
}

TEST_CASE("random: below is even and unbiased, a permutation holds every number once") {
  exec::Stream stream(exec::stream_key(3, "test"));
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[std::size_t(stream.below(7))];
  for (const int n : counts) CHECK(std::abs(n - 10000) < 5 * std::sqrt(10000.0 * 6 / 7));
  CHECK_THROWS_AS(stream.below(0), Error);
  std::vector<std::int64_t> order = exec::permutation(1000, 5, 1), sorted = order;
  CHECK(exec::permutation(1000, 5, 1) == order);
  CHECK(exec::permutation(1000, 5, 2) != order);
  CHECK(exec::permutation(1000, 6, 1) != order);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
}

TEST_CASE("random: dropout and drop path do not depend on threads; their gradients meet the same mask") {
  const at::Tensor ids = at::arange(50, 82);
  at::Tensor first, path;
  with_threads([&] {
    at::Tensor x = at::ones({32, 500}).requires_grad_(true);
    const at::Tensor y = exec::dropout(x, 0.25, 77, 3, ids);
    y.sum().backward();
    CHECK(x.grad().equal(y.detach()));  // 1 / (1 - p) where kept, 0 where not
    if (!first.defined()) first = y.detach().clone();
    CHECK(y.detach().equal(first));
    const at::Tensor z = exec::drop_path(at::ones({32, 4}), 0.25, 77, 3, ids);
    if (!path.defined()) path = z.clone();
    CHECK(z.equal(path));
  });
  CHECK(first.gt(0).to(at::kDouble).mean().item<double>() == doctest::Approx(0.75).epsilon(0.02));
  CHECK(first.max().item<double>() == doctest::Approx(1 / 0.75));
  for (int i = 0; i < 32; ++i) CHECK((path[i].eq(path[i][0]).all().item<bool>()));  // whole samples
  // float64 draws the same mask.
  CHECK(exec::dropout(at::ones({32, 500}, at::kDouble), 0.25, 77, 3, ids).gt(0).equal(first.gt(0)));
}

TEST_CASE("init: orthogonal tensors have orthonormal rows or columns times the gain") {
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{{6, 6}, {4, 9}, {9, 4}, {5, 2, 3, 3}}) {
    const at::Tensor t = made({{"kind", "orthogonal"}, {"gain", 1.5}}, shape), m = t.reshape({shape[0], -1});
    const at::Tensor product = m.size(0) <= m.size(1) ? m.mm(m.t()) : m.t().mm(m);
    const at::Tensor one = at::empty_like(product).zero_();
    one.diagonal().fill_(2.25);
    CHECK(product.sub(one).abs().max().item<double>() < 1e-12);
    CHECK_FALSE(t.equal(made({{"kind", "orthogonal"}, {"gain", 1.5}}, shape, "other")));
  }
  CHECK_THROWS_WITH_AS(made({{"kind", "orthogonal"}}, {4}), doctest::Contains("two axes or more"), Error);
}
