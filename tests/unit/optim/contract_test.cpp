// Over every optimizer and schedule. (Downhill, bit-equal resume, finite factors: optimizer_test.cpp, schedule_test.cpp.)
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/core/values.h"
#include "engine/optim/optimizer.h"

using namespace ds;
using optim::Parameter;

namespace {

std::vector<Parameter> two(at::ScalarType type) {
  std::vector<Parameter> parameters;
  for (const bool decay : {true, false})
    parameters.push_back({decay ? "layer.weight" : "layer.bias", at::linspace(-1, 1.5, 6, at::TensorOptions().dtype(type)).reshape({2, 3}), decay});
  for (Parameter& parameter : parameters) parameter.value.requires_grad_(true);
  return parameters;
}

/// The gradient of sum((x - 0.2)^2).
void bowl(std::vector<Parameter>& parameters) {
  for (Parameter& parameter : parameters) parameter.value.mutable_grad() = parameter.value.detach().sub(0.2).mul(2);
}

double loss(const Parameter& parameter) { return parameter.value.detach().sub(0.2).square().sum().item<double>(); }

/// The option of that name, or nullptr.
template <class T>
T* option(const core::Choice& choice, const std::string& name) {
  const core::Fields fields = core::walk(*choice.options);
  for (const core::Entry& entry : fields.entries())
    if (entry.path == name) return std::get<T*>(entry.target);
  return nullptr;
}

double factor(const core::Choice& schedule, std::int64_t step, std::int64_t total) {
  return core::body<optim::ScheduleFactor>("schedule", schedule.name)(*schedule.options, step, total);
}

}  // namespace

TEST_CASE("optim: every optimizer finds the bottom of a bowl, in float32 and float64") {
  for (const core::Card& card : core::cards("optimizer"))
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      CAPTURE(card.name);
      CAPTURE(type == at::kDouble);
      const core::Choice choice{"optimizer", card.name};
      if (double* decay = option<double>(choice, "weight_decay")) *decay = 0;  // it would pull the bottom to 0
      auto parameters = two(type);
      auto optimizer = optim::make_optimizer(choice, parameters);
      const double before = loss(parameters[0]);
      // From a large step to a small one: whatever the size of a step is, it comes to rest.
      for (int i = 0; i < 300; ++i) {
        bowl(parameters);
        optimizer->step(0.05 * (1 - i / 300.0));
      }
      for (const Parameter& parameter : parameters) {
        CHECK((parameter.value.scalar_type() == type));
        CHECK(loss(parameter) < 1e-3 * before);
      }
    }
}

TEST_CASE("optim: every optimizer stands still at rate 0, decays what it may alone, and leaves gradients as they are") {
  for (const core::Card& card : core::cards("optimizer")) {
    CAPTURE(card.name);
    const core::Choice choice{"optimizer", card.name};
    REQUIRE(option<double>(choice, "lr") != nullptr);  // what the schedule scales
    auto parameters = two(at::kDouble), start = two(at::kDouble);
    auto optimizer = optim::make_optimizer(choice, parameters);
    bowl(parameters);
    const at::Tensor gradient = parameters[0].value.grad().clone();
    optimizer->step(0);
    CHECK(parameters[0].value.detach().equal(start[0].value.detach()));
    CHECK(parameters[0].value.grad().equal(gradient));

    double* decay = option<double>(choice, "weight_decay");
    if (decay == nullptr) continue;
    *decay = 0.5;
    auto still = two(at::kDouble);
    auto shrinking = optim::make_optimizer(choice, still);
    for (int i = 0; i < 3; ++i) {
      for (Parameter& parameter : still) parameter.value.mutable_grad() = at::zeros({2, 3}, at::kDouble);
      shrinking->step(0.1);
    }
    CHECK(still[0].value.detach().abs().sum().item<double>() < start[0].value.detach().abs().sum().item<double>());
    CHECK(still[1].value.detach().equal(start[1].value.detach()));  // a bias without gradient
  }
}

TEST_CASE("optim: every optimizer names its state by parameter, restores it to the bit, and refuses what is not its own") {
  for (const core::Card& card : core::cards("optimizer")) {
    CAPTURE(card.name);
    const core::Choice choice{"optimizer", card.name};
    auto parameters = two(at::kFloat);
    auto optimizer = optim::make_optimizer(choice, parameters);
    for (int i = 0; i < 3; ++i) bowl(parameters), optimizer->step(0.01);
    const auto state = optimizer->state();
    REQUIRE(!state.empty());  // with its defaults each of ours remembers something
    for (const auto& [name, tensor] : state) {
      CAPTURE(name);
      CHECK((name.starts_with("layer.weight/") || name.starts_with("layer.bias/")));
      CHECK(tensor.is_contiguous());
      CHECK(tensor.isfinite().all().item<bool>());
    }
    // Another optimizer object with the same weights: nothing else may be remembered.
    auto others = two(at::kFloat);
    {
      const at::NoGradGuard off;
      for (std::size_t i = 0; i < others.size(); ++i) others[i].value.copy_(parameters[i].value);
    }
    auto restored = optim::make_optimizer(choice, others);
    std::map<std::string, at::Tensor> copy;
    for (const auto& [name, tensor] : state) copy[name] = tensor.clone();
    restored->load(copy);
    for (const auto& [name, tensor] : restored->state()) CHECK(tensor.equal(state.at(name)));
    bowl(parameters), bowl(others);
    optimizer->step(0.01), restored->step(0.01);
    for (std::size_t i = 0; i < others.size(); ++i) CHECK(others[i].value.detach().equal(parameters[i].value.detach()));

    copy.begin()->second = at::zeros({7});
    CHECK_THROWS_AS(restored->load(copy), Error);
  }
}

TEST_CASE("optim: every schedule rises over its warm-up, is at its top when that ends, and falls or stays from there") {
  for (const core::Card& card : core::cards("schedule")) {
    CAPTURE(card.name);
    const core::Choice schedule{"schedule", card.name};
    auto* warmup = option<std::int64_t>(schedule, "warmup_steps");
    REQUIRE(warmup != nullptr);
    *warmup = 5;
    for (const std::int64_t total : {6, 50, 10'000}) {
      CAPTURE(total);
      for (std::int64_t step = 1; step < 5; ++step) CHECK(factor(schedule, step, total) > factor(schedule, step - 1, total));
      CHECK(factor(schedule, 0, total) > 0);
      CHECK(factor(schedule, 0, total) <= 0.2);
      CHECK(factor(schedule, 4, total) == doctest::Approx(1));
      for (std::int64_t step = 5; step < total; ++step) CHECK(factor(schedule, step, total) <= factor(schedule, step - 1, total) + 1e-12);
      CHECK(factor(schedule, total - 1, total) == factor(schedule, total - 1, total));
    }
    // A warm-up longer than the run: still finite, still rising.
    *warmup = 100;
    CHECK(factor(schedule, 0, 10) < factor(schedule, 9, 10));
    CHECK(factor(schedule, 9, 10) <= 1);
  }
}
