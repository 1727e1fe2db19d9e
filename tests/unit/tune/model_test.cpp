#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "engine/tune/acquisition.h"
#include "engine/tune/gaussian_process.h"
#include "engine/tune/lbfgs.h"
#include "engine/tune/outputs.h"
#include "engine/tune/points.h"

using namespace ds::tune;

TEST_CASE("tune: L-BFGS finds the minimum of Rosenbrock's function, free and with bounds") {
  const Objective rosenbrock = [](const std::vector<double>& x, std::vector<double>& g) {
    double value = 0;
    g.assign(x.size(), 0);
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
      value += 100 * a * a + b * b;
      g[i] += -400 * a * x[i] - 2 * b;
      g[i + 1] += 200 * a;
    }
    return value;
  };
  std::vector<double> x{-1.2, 1, -0.5, 2};
  MinimiseOptions options;
  options.iterations = 1000;
  options.value_tolerance = 0;
  CHECK(minimise(rosenbrock, x, options) < 1e-10);
  for (const double v : x) CHECK(v == doctest::Approx(1).epsilon(1e-5));

  // With x0 <= 0.5 the minimum is at x1 = x0^2 = 0.25, of value (1 - 0.5)^2.
  std::vector<double> y{-1.2, 1};
  options.lower = {-2, -2};
  options.upper = {0.5, 2};
  CHECK(minimise(rosenbrock, y, options) == doctest::Approx(0.25).epsilon(1e-9));
  CHECK(y[0] == doctest::Approx(0.5));
  CHECK(y[1] == doctest::Approx(0.25).epsilon(1e-5));
}

TEST_CASE("tune: erfcx and log expected improvement, against 40-digit values and the plain formula") {
  // mpmath: exp(x^2) erfc(x)
  CHECK(erfcx(0) == 1);
  CHECK(erfcx(1) == doctest::Approx(0.4275835761558070).epsilon(1e-14));
  CHECK(erfcx(5) == doctest::Approx(0.11070463773306863).epsilon(1e-13));
  CHECK(erfcx(30) == doctest::Approx(0.018795888861416751).epsilon(1e-13));
  struct Known {
    double z, value;
  };
  // mpmath: log(npdf(z) + z ncdf(z))
  static const Known known[] = {{5, 1.6094379231264313851}, {1, 0.080026218849306940029}, {0.3, -0.56781715367793688404},
                                 {-0.5, -1.6205162643873199193}, {-0.99, -2.4661143916690493822}, {-1.01, -2.5041998574802567792},
                                 {-3, -7.8696860596030285171}, {-7, -29.368107183141277688}, {-15, -118.84817068411358416},
                                 {-19.9, -204.91288769492169302}, {-20.1, -208.93274041662459151}, {-40, -808.29856835661996024},
                                 {-100, -5010.1295788002497923}, {-1000, -500014.73445209115845}, {-1e8, -5000000000000037.7603}};
  for (const auto& [z, value] : known) {
    CHECK(log_h(z).value == doctest::Approx(value).epsilon(1e-13));
    const double step = 1e-5 * std::max(1.0, std::abs(z)), slope = (log_h(z + step).value - log_h(z - step).value) / (2 * step);
    CHECK(log_h(z).slope == doctest::Approx(slope).epsilon(1e-6));
  }
  for (double z = -5; z < 5; z += 0.37) {
    const double phi = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi), cdf = 0.5 * std::erfc(-z / std::sqrt(2.0));
    CHECK(log_h(z).value == doctest::Approx(std::log(phi + z * cdf)).epsilon(1e-8));
  }
  // The branches meet.
  for (const double edge : {-1.0, -20.0}) CHECK(log_h(std::nextafter(edge, 0)).value == doctest::Approx(log_h(edge).value).epsilon(1e-13));
  const LogImprovement a = log_improvement(0.3, 0.2, 0.5), up = log_improvement(0.3 + 1e-6, 0.2, 0.5), wide = log_improvement(0.3, 0.2 + 1e-6, 0.5);
  CHECK(a.by_mean == doctest::Approx((up.value - a.value) / 1e-6).epsilon(1e-4));
  CHECK(a.by_sd == doctest::Approx((wide.value - a.value) / 1e-6).epsilon(1e-4));
}

TEST_CASE("tune: the first Sobol points, and a scrambled sequence that keeps their balance") {
  const Points first = sobol(3, 0, 5);
  const Points expected{{0, 0, 0}, {0.5, 0.5, 0.5}, {0.75, 0.25, 0.25}, {0.25, 0.75, 0.75}, {0.375, 0.375, 0.625}};
  CHECK(first == expected);
  CHECK(sobol(3, 3, 2) == Points{expected[3], expected[4]});

  const Points scrambled = scrambled_sobol(4, 0, 64, 7);
  CHECK(scrambled == scrambled_sobol(4, 0, 64, 7));
  CHECK(scrambled != scrambled_sobol(4, 0, 64, 8));
  for (const std::int64_t from : {1, 2, 17}) CHECK(scrambled_sobol(4, from, 3, 7) == Points(scrambled.begin() + from, scrambled.begin() + from + 3));
  for (std::size_t j = 0; j < 4; ++j) {
    std::vector<int> cells(64, 0);
    for (const auto& point : scrambled) ++cells[static_cast<std::size_t>(point[j] * 64)];
    CHECK(cells == std::vector<int>(64, 1));  // one point in each of 64 slices of every dimension
  }
}

namespace {

GaussianProcess mixed_model() {
  // Two numbers and a category; values of a smooth function.
  Points x;
  std::vector<double> y;
  for (const auto& point : scrambled_sobol(3, 0, 14, 3)) {
    x.push_back({point[0], point[1], std::floor(point[2] * 3)});
    y.push_back(std::sin(5 * point[0]) + point[1] * point[1] + 0.4 * x.back()[2] - 1);
  }
  return {x, y, {false, false, true}};
}

}  // namespace

TEST_CASE("tune: the gradient of the hyperparameters' posterior is that of finite differences") {
  const GaussianProcess model = mixed_model();
  for (const auto& u : Points{{-1, -0.5, 0.3, 0.1, -4}, {-2.5, 0.7, -1, 1.2, -7}, {0.5, 0.5, 1.5, -1, -1}}) {
    std::vector<double> gradient, ignored;
    model.objective(u, gradient);
    for (std::size_t i = 0; i < u.size(); ++i) {
      std::vector<double> up = u, down = u;
      const double step = 1e-5;
      up[i] += step;
      down[i] -= step;
      const double slope = (model.objective(up, ignored) - model.objective(down, ignored)) / (2 * step);
      CHECK(gradient[i] == doctest::Approx(slope).epsilon(1e-6));
    }
  }
}

TEST_CASE("tune: the derivatives of a prediction are those of finite differences") {
  GaussianProcess model = mixed_model();
  model.fit(1);
  const std::vector<double> x{0.31, 0.77, 1};
  const Prediction p = model.predict(x, true);
  for (std::size_t j = 0; j < 2; ++j) {
    std::vector<double> up = x, down = x;
    up[j] += 1e-6;
    down[j] -= 1e-6;
    CHECK(p.mean_by[j] == doctest::Approx((model.predict(up).mean - model.predict(down).mean) / 2e-6).epsilon(1e-6));
    CHECK(p.sd_by[j] == doctest::Approx((model.predict(up).sd - model.predict(down).sd) / 2e-6).epsilon(1e-5));
  }
  CHECK(p.mean_by[2] == 0);
  std::vector<double> mean, sd;
  model.predict(Points{x, {0.1, 0.2, 0}}, mean, sd);
  CHECK(mean[0] == doctest::Approx(p.mean).epsilon(1e-12));
  CHECK(sd[0] == doctest::Approx(p.sd).epsilon(1e-9));
}

TEST_CASE("tune: the posterior of two points, by hand") {
  GaussianProcess model(Points{{0.2}, {0.6}}, {1.0, -1.0}, {false});
  REQUIRE(model.condition({{0.5}, 2.0, 0.1}));
  const auto k = [](double a, double b) {
    const double r = std::sqrt(5.0) * std::abs(a - b) / 0.5;
    return 2.0 * (1 + r + r * r / 3) * std::exp(-r);
  };
  const double x = 0.3, a = 2.1, b = k(0.2, 0.6), det = a * a - b * b, k1 = k(x, 0.2), k2 = k(x, 0.6);
  const double mean = (k1 * (a * 1.0 - b * -1.0) + k2 * (a * -1.0 - b * 1.0)) / det;
  const double variance = 2.0 - (k1 * (a * k1 - b * k2) + k2 * (a * k2 - b * k1)) / det;
  CHECK(model.predict({x}).mean == doctest::Approx(mean).epsilon(1e-12));
  CHECK(model.predict({x}).sd == doctest::Approx(std::sqrt(variance)).epsilon(1e-12));
  // A point that is believed in stays where it is and makes the model surer.
  model.believe({x});
  CHECK(model.predict({x}).mean == doctest::Approx(mean).epsilon(1e-9));
  CHECK(model.predict({x}).sd < std::sqrt(variance));
}

TEST_CASE("tune: a model of equal points and of equal values") {
  GaussianProcess same(Points{{0.5}, {0.5}, {0.5}}, {1, 1.1, 0.9}, {false});
  same.fit(1);
  CHECK(std::abs(same.predict({0.5}).mean - 1) < 0.2);
  GaussianProcess flat(Points{{0.1}, {0.5}, {0.9}}, {0, 0, 0}, {false});
  flat.fit(1);
  CHECK(std::isfinite(flat.predict({0.3}).sd));
}

TEST_CASE("tune: outputs have zero mean and unit variance, outliers and failures included") {
  const double nan = std::nan("");
  const auto plain = model_outputs({1, 2, 3, 4}, false);
  CHECK(plain[0] == doctest::Approx(-3 / std::sqrt(5.0)));
  CHECK(plain[3] == doctest::Approx(3 / std::sqrt(5.0)));
  // Half-rank: a diverged run is no further away than its rank says; the good half keeps its shape.
  const auto warped = model_outputs({0.9, 0.91, 0.92, 0.93, 0.94, -1e6}, true);
  const auto milder = model_outputs({0.9, 0.91, 0.92, 0.93, 0.94, 0.5}, true);
  for (std::size_t i = 0; i < 6; ++i) CHECK(warped[i] == doctest::Approx(milder[i]));
  CHECK(warped[5] < warped[0]);
  CHECK(warped[0] < warped[1]);
  CHECK((warped[4] - warped[3]) == doctest::Approx(warped[3] - warped[2]));
  // Failed: below the worst by half the range and one; the shift makes 0 what an unknown trial is expected to give.
  const auto failed = model_outputs({1, 3, nan}, false);
  CHECK(failed[1] - failed[0] == doctest::Approx(2));
  CHECK(failed[0] - failed[2] == doctest::Approx(2));
  const double p = 2.5 / 4;
  CHECK((failed[0] + failed[1]) / 2 * p + failed[2] * (1 - p) == doctest::Approx(0).epsilon(1e-12));
  for (const double value : model_outputs({2, 2, 2}, true)) CHECK(value == 0);
}
