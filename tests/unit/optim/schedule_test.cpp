#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "base/catalog/schedule/constant.h"
#include "base/catalog/schedule/cosine.h"
#include "base/catalog/schedule/one-cycle.h"
#include "engine/optim/optimizer.h"

using namespace ds;

namespace {

double factor(const core::Choice& schedule, std::int64_t step, std::int64_t total) {
  return core::body<optim::ScheduleFactor>("schedule", schedule.name)(*schedule.options, step, total);
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
  CHECK(optim::learning_rate({"optimizer", "adamw"}, {"schedule", "one-cycle"}, 0, 10) == doctest::Approx(0.003 * 0.04));
  CHECK(optim::learning_rate({"optimizer", "sgd"}, {"schedule", "constant"}, 5, 10) == doctest::Approx(0.1));
}
