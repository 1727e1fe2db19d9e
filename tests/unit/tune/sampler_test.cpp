#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numbers>
#include <regex>

#include "base/catalog/sampler/gp.h"
#include "engine/tune/sampler.h"

using namespace ds::tune;
using ds::commands::TuneParameter;

namespace {

using Function = std::function<double(const std::vector<double>&)>;  // of the unit cube, to be minimised

/// Picheny et al. 2013: minimum 0.397887.
double branin(const std::vector<double>& u) {
  const double x = 15 * u[0] - 5, y = 15 * u[1], pi = std::numbers::pi;
  const double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
  return a * a + 10 * (1 - 1 / (8 * pi)) * std::cos(x) + 10;
}

/// Minimum -3.32237.
double hartmann6(const std::vector<double>& u) {
  static const double alpha[] = {1.0, 1.2, 3.0, 3.2};
  static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}};
  static const double p[4][6] = {{1312, 1696, 5569, 124, 8283, 5886}, {2329, 4135, 8307, 3736, 1004, 9991},
                                 {2348, 1451, 3522, 2883, 3047, 6650}, {4047, 8828, 8732, 5743, 1091, 381}};
  double sum = 0;
  for (int i = 0; i < 4; ++i) {
    double inner = 0;
    for (int j = 0; j < 6; ++j) inner += a[i][j] * (u[j] - 1e-4 * p[i][j]) * (u[j] - 1e-4 * p[i][j]);
    sum -= alpha[i] * std::exp(-inner);
  }
  return sum;
}

TuneSpace cube(std::size_t d) {
  TuneSpace space;
  space.metric = "y";
  for (std::size_t j = 0; j < d; ++j) {
    TuneParameter p;
    p.path = "x" + std::to_string(j);
    space.parameters.push_back(p);
  }
  return space;
}

/// All trials of one study; the best value found.
struct Trace {
  std::vector<Json> configurations;
  std::vector<double> values;
  double best() const { return *std::min_element(values.begin(), values.end()); }
};

Trace study(const std::string& sampler, const TuneSpace& space, std::int64_t trials, std::uint64_t seed, const Function& f, const std::string& warp = "") {
  ds::core::Choice choice("sampler", sampler);
  if (!warp.empty()) static_cast<ds::catalog::sampler::gp::Options&>(*choice.options).warp = warp;
  Task task;
  task.space = &space;
  task.seed = seed;
  task.planned = trials;
  Trace trace;
  for (task.trial = 1; task.trial <= trials; ++task.trial) {
    const Suggestion s = suggest(choice, task);
    if (s.parameters.is_null()) break;
    const double y = f(space.encode(s.parameters));
    trace.configurations.push_back(s.parameters);
    trace.values.push_back(y);
    task.seen.push_back({task.trial, s.parameters, -y});
    task.taken.insert(s.parameters.dump());
  }
  return trace;
}

double median_regret(const std::string& sampler, std::size_t d, std::int64_t trials, int seeds, const Function& f, double minimum, const std::string& warp = "") {
  std::vector<double> regrets;
  for (int seed = 0; seed < seeds; ++seed) regrets.push_back(study(sampler, cube(d), trials, static_cast<std::uint64_t>(seed), f, warp).best() - minimum);
  std::sort(regrets.begin(), regrets.end());
  return regrets[regrets.size() / 2];
}

/// 3 x 4 configurations.
TuneSpace small_space() {
  TuneSpace space = cube(0);
  TuneParameter width, name;
  width.path = "width";
  width.type = TuneParameter::Type::kInt;
  width.low = 16, width.high = 64, width.step = 16;
  name.path = "name";
  name.type = TuneParameter::Type::kCategorical;
  name.values = {"a", "b", "c"};
  space.parameters = {width, name};
  return space;
}

}  // namespace

TEST_CASE("tune: the Gaussian process beats random search by far") {
  const double gp = median_regret("gp", 2, 30, 5, branin, 0.397887), random = median_regret("random", 2, 30, 5, branin, 0.397887);
  MESSAGE("Branin, 30 trials, median regret: gp " << gp << ", random " << random);
  CHECK(gp < 0.1 * random);
  CHECK(gp < 0.05);
  const double gp6 = median_regret("gp", 6, 40, 5, hartmann6, -3.32237), random6 = median_regret("random", 6, 40, 5, hartmann6, -3.32237);
  MESSAGE("Hartmann-6, 40 trials, median regret: gp " << gp6 << ", random " << random6);
  CHECK(gp6 < 0.5 * random6);
}

TEST_CASE("tune: a suggestion is a function of the task alone") {
  for (const char* sampler : {"gp", "random", "sobol"}) {
    const Trace a = study(sampler, cube(2), 9, 3, branin), b = study(sampler, cube(2), 9, 3, branin), other = study(sampler, cube(2), 9, 4, branin);
    CHECK(a.configurations == b.configurations);
    CHECK(a.configurations != other.configurations);
  }
}

TEST_CASE("tune: a small space is enumerated without duplicates and then at its end, by every sampler") {
  const TuneSpace space = small_space();
  CHECK(space.size() == 12);
  for (const char* sampler : {"gp", "random", "sobol"}) {
    const Trace trace = study(sampler, space, 20, 1, [](const std::vector<double>& x) { return std::abs(x[0] - 0.4) + (x[1] == 1 ? 0 : 1); });
    std::set<std::string> different;
    for (const Json& configuration : trace.configurations) different.insert(configuration.dump());
    CHECK(trace.configurations.size() == 12);
    CHECK(different.size() == 12);
  }
}

TEST_CASE("tune: ints and categories are found by the model, failures shunned") {
  TuneSpace space = small_space();
  space.parameters[0].step = 1;
  space.parameters.push_back(cube(1).parameters[0]);
  // The best: width 40, name b, x0 = 0.7; all of name c fail.
  const auto f = [](const std::vector<double>& x) { return x[1] == 2 ? NAN : 4 * std::abs(x[0] - 0.5) + (x[1] == 1 ? 0 : 0.5) + std::abs(x[2] - 0.7); };
  int good = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const Trace trace = study("gp", space, 25, seed, f);
    double best = 1e9;
    int late_failures = 0;
    for (std::size_t i = 0; i < trace.values.size(); ++i) {
      if (std::isnan(trace.values[i])) late_failures += i >= 12;
      else best = std::min(best, trace.values[i]);
    }
    CHECK(late_failures <= 3);
    good += best < 0.15;
  }
  CHECK(good >= 2);
}

TEST_CASE("tune: trials under way are not suggested again, nor are their neighbours") {
  const TuneSpace space = cube(2);
  ds::core::Choice choice("sampler", "gp");
  Task task;
  task.space = &space;
  task.planned = 40;
  for (task.trial = 1; task.trial <= 12; ++task.trial) {
    const Suggestion s = suggest(choice, task);
    task.seen.push_back({task.trial, s.parameters, -branin(space.encode(s.parameters))});
    task.taken.insert(s.parameters.dump());
  }
  std::vector<std::vector<double>> chosen;
  for (; task.trial <= 16; ++task.trial) {
    const Suggestion s = suggest(choice, task);
    chosen.push_back(space.encode(s.parameters));
    task.pending.push_back(s.parameters);
    task.taken.insert(s.parameters.dump());
  }
  for (std::size_t a = 0; a < chosen.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) CHECK(std::hypot(chosen[a][0] - chosen[b][0], chosen[a][1] - chosen[b][1]) > 0.01);
}

TEST_CASE("tune: the default configuration is the first trial") {
  TuneSpace space = small_space();
  space.first = Json{{"width", 48}, {"name", "c"}};
  for (const char* sampler : {"gp", "random", "sobol"})
    CHECK(study(sampler, space, 3, 5, [](const std::vector<double>&) { return 0.0; }).configurations[0] == *space.first);
}

TEST_CASE("tune: nothing in the area draws from ATen's generator") {
  const std::regex draws("at::(rand|randn|randint|randperm|normal|bernoulli|multinomial)\\w*|\\.(uniform_|normal_|random_|bernoulli_)\\(");
  for (const auto& entry : std::filesystem::directory_iterator(DS_SOURCE_DIR "/lib/engine/tune")) {
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    CHECK_MESSAGE(!std::regex_search(text, draws), entry.path());
  }
}

// Figures for the notes: DS_TUNE_BENCH=1 test_tune -tc='*benchmark*'
TEST_CASE("tune: benchmark of regret and of the time a suggestion takes" * doctest::skip(std::getenv("DS_TUNE_BENCH") == nullptr)) {
  for (const char* warp : {"half-rank", "none"}) {
    MESSAGE("gp, warp " << warp << ": Branin 30 " << median_regret("gp", 2, 30, 11, branin, 0.397887, warp) << ", 50 "
                        << median_regret("gp", 2, 50, 11, branin, 0.397887, warp) << "; Hartmann-6 50 "
                        << median_regret("gp", 6, 50, 11, hartmann6, -3.32237, warp) << ", 100 " << median_regret("gp", 6, 100, 5, hartmann6, -3.32237, warp));
  }
  for (const char* sampler : {"random", "sobol"}) {
    MESSAGE(sampler << ": Branin 30 " << median_regret(sampler, 2, 30, 11, branin, 0.397887) << ", 50 " << median_regret(sampler, 2, 50, 11, branin, 0.397887)
                    << "; Hartmann-6 50 " << median_regret(sampler, 6, 50, 11, hartmann6, -3.32237) << ", 100 "
                    << median_regret(sampler, 6, 100, 11, hartmann6, -3.32237));
  }
  for (const std::size_t d : {6, 18})
    for (const int n : {100, 300}) {
      const TuneSpace space = cube(d);
      Task task;
      task.space = &space;
      task.planned = 1000;
      task.trial = n + 1;
      const auto points = scrambled_sobol(static_cast<std::int64_t>(d), 0, n, 5);
      for (int i = 0; i < n; ++i) {
        const Json configuration = space.decode(points[static_cast<std::size_t>(i)]);
        task.seen.push_back({i + 1, configuration, -hartmann6(points[static_cast<std::size_t>(i)])});
        task.taken.insert(configuration.dump());
      }
      std::vector<double> times;
      const ds::core::Choice choice("sampler", "gp");
      for (int i = 0; i < 5; ++i) {
        const auto start = std::chrono::steady_clock::now();
        task.seed = static_cast<std::uint64_t>(i);
        suggest(choice, task);
        times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
      }
      std::sort(times.begin(), times.end());
      MESSAGE("a suggestion, d = " << d << ", n = " << n << ": " << times[2] << " ms");
    }
}
