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
  return optim::schedule_factor(schedule, {.step = step, .total = total, .steps_per_epoch = 10});
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
      const double rate = card.name == "adagrad" ? 0.5 : 0.05;  // its own shrinks besides
      for (int i = 0; i < 300; ++i) {
        bowl(parameters);
        optimizer->step(rate * (1 - i / 300.0));
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
    // A warm-up longer than the run: still finite, still rising; refused before the first step.
    *warmup = 100;
    CHECK(factor(schedule, 0, 10) < factor(schedule, 9, 10));
    CHECK(factor(schedule, 9, 10) <= 1);
    try {
      optim::check_schedule(schedule, {.total = 100, .steps_per_epoch = 10});
      FAIL("a warm-up as long as the run was taken");
    } catch (const Error& e) {
      CHECK(e.where() == "schedule.warmup_steps");
      CHECK(e.message() == "a warm-up of 100 steps, the run has 100");
    }
    optim::check_schedule(schedule, {.total = 101, .steps_per_epoch = 10});

    // By epochs: the same.
    *warmup = 0;
    *option<double>(schedule, "warmup_epochs") = 0.5;
    for (std::int64_t step = 1; step < 5; ++step) CHECK(factor(schedule, step, 50) > factor(schedule, step - 1, 50));
    CHECK(factor(schedule, 4, 50) == doctest::Approx(1));
    *warmup = 5;
    CHECK_THROWS_AS(schedule.options->check(), Error);
  }
}

namespace {

std::vector<Parameter> many(at::ScalarType type) {
  std::vector<Parameter> parameters;
  for (const char* name : {"big", "small"}) {
    const at::Tensor value = at::linspace(-1, 1.5, name[0] == 'b' ? 40'000 : 50, at::TensorOptions().dtype(type));
    parameters.push_back({.name = name, .value = name[0] == 'b' ? value.reshape({10, 100, 8, 5}).contiguous(at::MemoryFormat::ChannelsLast) : value});
    parameters.back().value.requires_grad_(true);
  }
  return parameters;
}

std::map<std::string, at::Tensor> cloned(const optim::Optimizer& optimizer) {
  std::map<std::string, at::Tensor> copy;
  for (const auto& [name, tensor] : optimizer.state()) copy[name] = tensor.clone();
  return copy;
}

}  // namespace

TEST_CASE("optim: every optimizer keeps its state in 16 or 8 bits where it offers that: small, near the full one, bit-equal after a resume") {
  int offered = 0;
  for (const core::Card& card : core::cards("optimizer")) {
    const core::Choice full{"optimizer", card.name};
    if (option<std::string>(full, "state_bits") == nullptr) continue;
    ++offered;
    for (const char* bits : {"16", "8"})
      for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
        CAPTURE(card.name);
        CAPTURE(bits);
        const core::Choice choice{"optimizer", card.name};
        *option<std::string>(choice, "state_bits") = bits;
        auto parameters = many(type), wide = many(type);
        auto optimizer = optim::make_optimizer(choice, parameters), reference = optim::make_optimizer(full, wide);
        const double before = loss(parameters[0]);
        for (int i = 0; i < 30; ++i) {
          bowl(parameters), bowl(wide);
          optimizer->step(0.01), reference->step(0.01);
        }
        const double way = wide[0].value.detach().sub(many(type)[0].value.detach()).abs().mean().item<double>();
        CHECK(wide[0].value.detach().sub(parameters[0].value.detach()).abs().mean().item<double>() < 0.05 * way);
        CHECK(wide[1].value.detach().equal(parameters[1].value.detach()));  // few elements stay as they are
        CHECK(loss(parameters[0]) < before);

        std::int64_t bytes = 0, states = 0;
        for (const auto& [name, tensor] : optimizer->state())
          if (name.starts_with("big/") && tensor.numel() > 1) {
            bytes += static_cast<std::int64_t>(tensor.nbytes());
            states += tensor.numel() == 40'000;
          }
        CHECK(static_cast<double>(bytes) == doctest::Approx(40'000.0 * states * (bits[0] == '8' ? 1 + 4.0 / 256 : 2)).epsilon(1e-3));

        auto others = many(type);
        {
          const at::NoGradGuard off;
          for (std::size_t i = 0; i < others.size(); ++i) others[i].value.copy_(parameters[i].value);
        }
        auto resumed = optim::make_optimizer(choice, others);
        resumed->load(cloned(*optimizer));
        for (int i = 0; i < 3; ++i) {
          bowl(parameters), bowl(others);
          optimizer->step(0.01), resumed->step(0.01);
        }
        CHECK(others[0].value.detach().equal(parameters[0].value.detach()));
        CHECK_THROWS_AS(resumed->load(cloned(*reference)), Error);  // of another width
      }
  }
  CHECK(offered >= 4);
}

TEST_CASE("optim: every optimizer gives a parameter its share of the rate, and leaves what it was not given") {
  for (const core::Card& card : core::cards("optimizer")) {
    CAPTURE(card.name);
    const core::Choice choice{"optimizer", card.name};
    auto scaled = two(at::kDouble), plain = two(at::kDouble);
    scaled[0].lr_scale = 0.25;
    const at::Tensor start = scaled[1].value.detach().clone();
    auto one = optim::make_optimizer(choice, {scaled[0]}), other = optim::make_optimizer(choice, plain);
    for (int i = 0; i < 3; ++i) {
      bowl(scaled), bowl(plain);
      one->step(0.04), other->step(0.01);
    }
    CHECK(scaled[0].value.detach().equal(plain[0].value.detach()));
    CHECK(scaled[1].value.detach().equal(start));  // frozen: not given
    for (const auto& [name, tensor] : one->state()) CHECK(name.starts_with("layer.weight/"));
  }
}
