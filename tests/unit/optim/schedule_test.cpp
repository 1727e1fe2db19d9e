#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "base/catalog/schedule/constant.h"
#include "base/catalog/schedule/cosine.h"
#include "base/catalog/schedule/multi-step.h"
#include "base/catalog/schedule/one-cycle.h"
#include "base/catalog/schedule/plateau.h"
#include "base/core/error.h"
#include "engine/optim/optimizer.h"

using namespace ds;

namespace {

double factor(const core::Choice& schedule, std::int64_t step, std::int64_t total) {
  return optim::schedule_factor(schedule, {.step = step, .total = total});
}

}  // namespace

TEST_CASE("optim: constant rises over the warm-up and stays") {
  core::Choice schedule{"schedule", "constant"};
  CHECK(factor(schedule, 0, 100) == 1);
  static_cast<catalog::schedule::constant::Options&>(*schedule.options).warmup_steps = 4;
  CHECK(factor(schedule, 0, 100) == 0.25);
  CHECK(factor(schedule, 3, 100) == 1);
  CHECK(factor(schedule, 99, 100) == 1);
}

TEST_CASE("optim: cosine falls from the base rate to its final share") {
  core::Choice schedule{"schedule", "cosine"};
  auto& options = static_cast<catalog::schedule::cosine::Options&>(*schedule.options);
  options.warmup_steps = 10;
  options.final_factor = 0.2;
  CHECK(factor(schedule, 4, 110) == doctest::Approx(0.5));
  CHECK(factor(schedule, 10, 110) == doctest::Approx(1));
  CHECK(factor(schedule, 60, 110) == doctest::Approx(0.6));
  CHECK(factor(schedule, 35, 110) == doctest::Approx(0.2 + 0.8 * 0.5 * (1 + std::sqrt(0.5))));
  CHECK(factor(schedule, 110, 110) == doctest::Approx(0.2));
  CHECK(factor(schedule, 1000, 110) == doctest::Approx(0.2));
}

TEST_CASE("optim: one-cycle is that of PyTorch") {
  core::Choice schedule{"schedule", "one-cycle"};
  // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10): peak at step 0.3 * 10 - 1 = 2.
  CHECK(factor(schedule, 0, 10) == doctest::Approx(0.04));
  CHECK(factor(schedule, 1, 10) == doctest::Approx(0.52));
  CHECK(factor(schedule, 2, 10) == doctest::Approx(1));
  CHECK(factor(schedule, 5, 10) == doctest::Approx(4e-6 + (1 - 4e-6) * 0.5 * (1 + std::cos(3 * std::numbers::pi / 7))));
  CHECK(factor(schedule, 9, 10) == doctest::Approx(4e-6));
  static_cast<catalog::schedule::one_cycle::Options&>(*schedule.options).warmup_steps = 6;
  CHECK(factor(schedule, 5, 10) == doctest::Approx(1));
}

TEST_CASE("optim: every schedule stays in [0, 1] and reaches its top, whatever the length") {
  for (const core::Card& card : core::cards("schedule")) {
    CAPTURE(card.name);
    const core::Choice schedule{"schedule", card.name};
    for (const std::int64_t total : {1, 2, 3, 7, 1000}) {
      CAPTURE(total);
      double top = 0;
      for (std::int64_t step = 0; step < total + 3; ++step) {
        const double value = factor(schedule, step, total);
        CHECK(std::isfinite(value));
        CHECK(value >= 0);
        CHECK(value <= 1 + 1e-12);
        top = std::max(top, value);
      }
      CHECK(top > 0.9);
    }
  }
}

TEST_CASE("optim: the learning rate is the optimizer's times the schedule's factor") {
  CHECK(optim::learning_rate({"optimizer", "adamw"}, {"schedule", "one-cycle"}, {.step = 0, .total = 10}) == doctest::Approx(0.003 * 0.04));
  CHECK(optim::learning_rate({"optimizer", "sgd"}, {"schedule", "constant"}, {.step = 5, .total = 10}) == doctest::Approx(0.1));
}

TEST_CASE("optim: a warm-up begins at its factor and comes before the schedule's own steps; milestones count from the start of the run") {
  core::Choice schedule{"schedule", "multi-step"};
  auto& options = static_cast<catalog::schedule::multi_step::Options&>(*schedule.options);
  options.milestones = {3};
  options.warmup_epochs = 1;
  options.warmup_factor = 0.2;
  const auto at = [&](std::int64_t step) { return optim::schedule_factor(schedule, {.step = step, .total = 40, .steps_per_epoch = 8}); };
  CHECK(at(0) == doctest::Approx(0.2 + 0.8 / 8));
  CHECK(at(3) == doctest::Approx(0.6));
  CHECK(at(7) == doctest::Approx(1));
  CHECK(at(23) == doctest::Approx(1));
  CHECK(at(24) == doctest::Approx(0.1));
  CHECK(optim::warmup_steps(schedule, {.steps_per_epoch = 8}) == 8);
}

TEST_CASE("optim: plateau looks at epochs that are done alone, and refuses a figure that they do not have") {
  core::Choice schedule{"schedule", "plateau"};
  static_cast<catalog::schedule::plateau::Options&>(*schedule.options).patience = 0;
  nlohmann::json rows = {{{"step", 4}, {"val_loss", 1.0}}, {{"step", 8}, {"val_loss", 2.0}}, {{"step", 12}, {"val_loss", 3.0}}};
  const auto at = [&](std::int64_t step) { return optim::schedule_factor(schedule, {.step = step, .total = 40, .steps_per_epoch = 4, .history = &rows}); };
  CHECK(at(7) == 1);
  CHECK(at(8) == doctest::Approx(0.1));
  CHECK(at(12) == doctest::Approx(0.01));
  CHECK(at(7) == 1);  // a pure function
  rows[0].erase("val_loss");
  CHECK_THROWS_AS(at(7), Error);
}

TEST_CASE("optim: an lr of auto becomes a number by the batch, or is refused with a hint") {
  core::Choice sgd{"optimizer", "sgd"}, adamw{"optimizer", "adamw"}, lion{"optimizer", "lion"};
  const auto lr = [](const core::Choice& choice) -> double& {
    const core::Fields fields = core::walk(*choice.options);
    for (const core::Entry& entry : fields.entries())
      if (entry.path == "lr") return *std::get<double*>(entry.target);
    throw std::runtime_error("no lr");
  };
  for (core::Choice* choice : {&sgd, &adamw, &lion}) lr(*choice) = core::kAutoNumber;
  CHECK_THROWS_AS(optim::resolve_auto(sgd, {"schedule", "one-cycle"}, 64), Error);
  optim::resolve_auto(sgd, {"schedule", "cosine"}, 64);
  CHECK(lr(sgd) == doctest::Approx(0.4));
  optim::resolve_auto(adamw, {"schedule", "one-cycle"}, 256);
  CHECK(lr(adamw) == doctest::Approx(0.006));
  lr(adamw) = 0.5;
  optim::resolve_auto(adamw, {"schedule", "one-cycle"}, 256);
  CHECK(lr(adamw) == 0.5);
  CHECK_THROWS_AS(optim::resolve_auto(lion, {"schedule", "cosine"}, 64), Error);
}
