#include "engine/optim/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <cmath>

#include "base/catalog/optimizer/adamw.h"
#include "base/catalog/optimizer/sgd.h"
#include "base/core/error.h"

using namespace ds;
using optim::Parameter;

namespace {

at::Tensor leaf(at::Tensor value) { return value.requires_grad_(true); }

void give(const Parameter& parameter, double gradient) {
  at::Tensor value = parameter.value;
  value.mutable_grad() = at::full(value.sizes(), gradient, value.options().requires_grad(false));
}

double first(const Parameter& parameter) { return parameter.value.detach().flatten()[0].item<double>(); }

}  // namespace

TEST_CASE("optim: AdamW does two steps as worked out by hand") {
  core::Choice choice{"optimizer", "adamw"};
  auto& options = static_cast<catalog::optimizer::adamw::Options&>(*choice.options);
  options.weight_decay = 0.1;
  Parameter decayed{"w", leaf(at::full({3}, 1.0, at::kDouble)), true}, free{"b", leaf(at::full({1}, 1.0, at::kDouble)), false};
  auto optimizer = optim::make_optimizer(choice, {decayed, free});

  // m = 0.05, v = 0.00025: bias-corrected 0.5 and 0.25, so a step of lr; decay takes 1 % before.
  give(decayed, 0.5), give(free, 0.5);
  optimizer->step(0.1);
  CHECK(first(decayed) == doctest::Approx(0.99 - 0.1).epsilon(1e-6));
  CHECK(first(free) == doctest::Approx(1 - 0.1).epsilon(1e-6));

  // m = 0.02, v = 0.00031225; by 1 - 0.9^2 and 1 - 0.999^2: 0.105263 and 0.156203.
  give(decayed, -0.25), give(free, -0.25);
  optimizer->step(0.1);
  const double step = 0.1 * (0.02 / 0.19) / (std::sqrt(0.00031225 / 0.001999) + 1e-8);
  CHECK(first(decayed) == doctest::Approx(0.89 * 0.99 - step).epsilon(1e-6));
  CHECK(first(free) == doctest::Approx(0.9 - step).epsilon(1e-6));
}

TEST_CASE("optim: SGD with Nesterov momentum does two steps as worked out by hand") {
  core::Choice choice{"optimizer", "sgd"};
  auto& options = static_cast<catalog::optimizer::sgd::Options&>(*choice.options);
  options.weight_decay = 0.1;
  Parameter decayed{"w", leaf(at::full({2, 2}, 1.0, at::kDouble)), true}, free{"b", leaf(at::full({1}, 1.0, at::kDouble)), false};
  auto optimizer = optim::make_optimizer(choice, {decayed, free});
  give(decayed, 0.5), give(free, 0.5);
  optimizer->step(0.1);
  CHECK(first(decayed) == doctest::Approx(1 - 0.1 * (0.6 + 0.9 * 0.6)));
  CHECK(first(free) == doctest::Approx(1 - 0.1 * (0.5 + 0.9 * 0.5)));
  give(decayed, 0.2), give(free, 0.2);
  optimizer->step(0.1);
  CHECK(first(decayed) == doctest::Approx(0.782566));  // g = 0.2886, buffer = 0.8286, update = 1.03434

  options.momentum = 0;
  options.weight_decay = 0;
  auto plain = optim::make_optimizer(choice, {free});
  const double before = first(free);
  give(free, 2);
  plain->step(0.25);
  CHECK(first(free) == doctest::Approx(before - 0.5));
  CHECK(plain->state().empty());
}

TEST_CASE("optim: every optimizer goes downhill, skips what has no gradient, and goes on bit-equal from its state") {
  for (const core::Card& card : core::cards("optimizer")) {
    CAPTURE(card.name);
    const core::Choice choice{"optimizer", card.name};
    const auto make = [&](std::vector<Parameter>& parameters) {
      parameters = {{"a", leaf(at::linspace(-1, 1, 24).reshape({2, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast)), true},
                    {"b", leaf(at::full({5}, 0.5)), false},
                    {"unused", leaf(at::full({2}, 3.0)), true}};
      return optim::make_optimizer(choice, parameters);
    };
    const auto steps = [](optim::Optimizer& optimizer, std::vector<Parameter>& parameters, int n) {
      for (int i = 0; i < n; ++i) {
        // The gradient of |x|^2, in another memory format than the weight: the fused kernels must not mix the two up.
        for (int p = 0; p < 2; ++p) parameters[p].value.mutable_grad() = parameters[p].value.detach().mul(2).contiguous();
        optimizer.step(0.01);
      }
    };
    std::vector<Parameter> one, two;
    auto first_run = make(one), second_run = make(two);
    const double start = one[0].value.detach().norm().item<double>();
    steps(*first_run, one, 10);
    CHECK(one[0].value.detach().norm().item<double>() < start);
    CHECK(one[2].value.detach().equal(at::full({2}, 3.0)));

    steps(*second_run, two, 4);
    std::map<std::string, at::Tensor> saved;
    for (const auto& [name, tensor] : second_run->state()) saved[name] = tensor.clone();
    auto resumed = optim::make_optimizer(choice, two);
    resumed->load(saved);
    steps(*resumed, two, 6);
    for (int p = 0; p < 3; ++p) CHECK(one[p].value.detach().equal(two[p].value.detach()));

    saved.erase(saved.begin());
    CHECK_THROWS_AS(resumed->load(saved), Error);
  }
}
