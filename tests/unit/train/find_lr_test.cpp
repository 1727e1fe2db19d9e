#include "engine/train/find_lr.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/models/models.h"
#include "engine/train/batch_size.h"

using namespace ds;

namespace {

std::vector<double> ramp(int n) {
  std::vector<double> lr;
  for (int i = 0; i < n; ++i) lr.push_back(1e-6 * std::pow(10.0, i / 10.0));
  return lr;
}

}  // namespace

TEST_CASE("train: the suggested rate is where the smoothed loss falls most steeply; the curve ends at four times its lowest") {
  std::vector<double> loss;
  for (int i = 0; i < 60; ++i) loss.push_back(i < 20 ? 2 : i < 40 ? 2 - 0.05 * (i - 20) : 1 + std::pow(1.4, i - 40));
  const train::LrCurve curve = train::curve_of(ramp(60), loss);
  // A line that is smoothed with decay 0.9 falls ever more like the line: the slope is the steepest just before the bend at 40.
  CHECK(curve.suggested > ramp(60)[35]);
  CHECK(curve.suggested < ramp(60)[41]);
  CHECK(curve.diverged);
  CHECK(curve.smooth.size() < 60);
  CHECK(curve.smooth[0] == doctest::Approx(2));
  CHECK(curve.smooth[21] == doctest::Approx(2 - 0.1 * 0.05 / (1 - std::pow(0.9, 22))));
  const std::string picture = curve.svg();
  CHECK(picture.starts_with("<svg"));
  CHECK(picture.find("xmlns=") != std::string::npos);
  CHECK(picture.find("<polyline") != std::string::npos);

  loss[30] = std::nan("");
  CHECK(train::curve_of(ramp(60), loss).smooth.size() == 30);
  loss[4] = INFINITY;
  CHECK_THROWS_AS(train::curve_of(ramp(60), loss), Error);
}

TEST_CASE("train: a range test leaves the model as it is, gives the same curve again and suggests a rate at which the net trains") {
  const data::Dataset& digits = data::open_cached("digits");
  core::Choice choice("architecture", "mlp", "arch");
  exec::Model model = exec::make_model(models::build(choice, digits.num_classes, 1, 8, 8), 7);
  const exec::Model before = model.clone();
  commands::FitOptions fit;
  fit.loop.workers = 0;
  io::Checkpoint checkpoint;
  const train::LrRange range{.from = 1e-6, .to = 10, .steps = 60};
  const train::LrCurve curve = train::find_lr(model, digits, fit, {}, checkpoint, range);
  for (const auto& [name, tensor] : before.tensors) CHECK(model.tensors.at(name).equal(tensor));
  CHECK(curve.lr[0] == doctest::Approx(1e-6));
  CHECK(curve.lr[1] / curve.lr[0] == doctest::Approx(std::pow(1e7, 1.0 / 59)));
  CHECK(curve.suggested > 1e-5);
  CHECK(curve.suggested < 0.3);
  CHECK(curve.diverged);
  CHECK(train::find_lr(model, digits, fit, {}, checkpoint, range).loss == curve.loss);
}

TEST_CASE("train: a batch of auto begins at four samples a GB, and is what fits") {
  CHECK(train::first_batch_size(24'000'000'000, 1, 50'000) == 64);
  CHECK(train::first_batch_size(80'000'000'000, 2, 50'000) == 512);
  CHECK(train::first_batch_size(24'000'000'000, 1, 50) == 32);
  CHECK(train::first_batch_size(1'000'000, 1, 50) == 1);
}
