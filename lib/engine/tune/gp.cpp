// The sampler `gp`: fits a Gaussian process to the finished trials and takes the point of the greatest log expected improvement.
#include "base/catalog/sampler/gp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/tune/acquisition.h"
#include "engine/tune/gaussian_process.h"
#include "engine/tune/lbfgs.h"
#include "engine/tune/outputs.h"
#include "engine/tune/sampler.h"

namespace ds::tune::gp {
namespace {

using Options = catalog::sampler::gp::Options;
using Point = std::vector<double>;

/// The search for the maximum of the acquisition in one suggestion.
class Search {
 public:
  Search(const Options& options, const Task& task, const GaussianProcess& model, const Points& observed, double best)
      : options_(options), task_(task), space_(*task.space), model_(model), observed_(observed), best_(best) {
    for (const auto& p : space_.parameters) {
      std::vector<double> grid;
      // Finer grids are searched as if they had no steps; the last step rounds.
      for (std::int64_t i = 0; p.count() <= 1000 && i < p.count(); ++i) grid.push_back(p.categorical() ? static_cast<double>(i) : p.encode(p.at(i)));
      grids_.push_back(std::move(grid));
    }
  }

  /// Points from the best down.
  Points run(std::vector<double>& scores) {
    Points candidates = propose();
    std::vector<double> values = acquisition(candidates);
    for (const std::size_t start : starts(values)) {
      Point point = candidates[start];
      const double value = climb(point, values[start]);
      candidates.push_back(std::move(point));
      values.push_back(value);
    }
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    Points sorted;
    scores.clear();
    for (const std::size_t i : order) {
      sorted.push_back(std::move(candidates[i]));
      scores.push_back(values[i]);
    }
    return sorted;
  }

 private:
  exec::Stream stream(const char* purpose) const { return {exec::stream_key(task_.seed, purpose), static_cast<std::uint64_t>(task_.trial)}; }

  double on_grid(std::size_t j, double place) const {
    const auto& grid = grids_[j];
    if (grid.empty()) return std::clamp(place, 0.0, 1.0);
    const auto above = std::lower_bound(grid.begin(), grid.end(), place);
    if (above == grid.begin()) return grid.front();
    if (above == grid.end()) return grid.back();
    return *above - place < place - *(above - 1) ? *above : *(above - 1);
  }

  /// Sobol points, then changes of the best trials.
  Points propose() const {
    const std::size_t d = space_.parameters.size();
    Points points = scrambled_sobol(static_cast<std::int64_t>(d), 0, options_.candidates,
                                    exec::stream_key(task_.seed, "tune-candidates", std::to_string(task_.trial)));
    for (Point& point : points)
      for (std::size_t j = 0; j < d; ++j)
        point[j] = space_.parameters[j].categorical()
                       ? std::min(std::floor(point[j] * static_cast<double>(grids_[j].size())), static_cast<double>(grids_[j].size()) - 1)
                       : on_grid(j, point[j]);
    std::vector<double> mean, sd;
    model_.predict(observed_, mean, sd);
    std::vector<std::size_t> order(observed_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return mean[a] > mean[b]; });
    order.resize(std::min<std::size_t>(order.size(), 5));
    exec::Stream random = stream("tune-perturb");
    points.push_back(observed_[order.front()]);  // the incumbent is a start of the climbs
    for (std::int64_t i = 0; i < options_.candidates / 4; ++i) {
      Point point = observed_[order[static_cast<std::size_t>(i) % order.size()]];
      const std::size_t always = random.below(d);
      const double width = i % 2 == 0 ? 0.1 : 0.02;
      for (std::size_t j = 0; j < d; ++j) {
        if (j != always && random.uniform() >= 1.0 / 3) continue;
        point[j] = space_.parameters[j].categorical() ? static_cast<double>(random.below(grids_[j].size())) : on_grid(j, point[j] + width * random.normal());
      }
      points.push_back(std::move(point));
    }
    return points;
  }

  std::vector<double> acquisition(const Points& points) const {
    std::vector<double> mean, sd, values;
    model_.predict(points, mean, sd);
    for (std::size_t i = 0; i < points.size(); ++i) values.push_back(log_improvement(mean[i], sd[i], best_).value);
    return values;
  }

  /// The best candidate, the incumbent, and others with probability proportional to their improvement (Gumbel's trick, no replacement).
  std::vector<std::size_t> starts(const std::vector<double>& values) const {
    const auto top = static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
    const auto incumbent = static_cast<std::size_t>(options_.candidates);
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    exec::Stream random = stream("tune-starts");
    std::vector<double> noisy;
    for (const double value : values) noisy.push_back(value - std::log(-std::log1p(-random.uniform())));
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return noisy[a] > noisy[b]; });
    std::vector<std::size_t> chosen{top};
    if (incumbent != top) chosen.push_back(incumbent);
    for (const std::size_t i : order) {
      if (static_cast<std::int64_t>(chosen.size()) >= options_.starts) break;
      if (i != top && i != incumbent) chosen.push_back(i);
    }
    return chosen;
  }

  double value_at(const Point& point) const {
    const Prediction p = model_.predict(point);
    return log_improvement(p.mean, p.sd, best_).value;
  }

  /// Alternates between L-BFGS on the columns without steps and a scan of each of the others until neither gains.
  double climb(Point& point, double value) const {
    for (int round = 0; round < 5; ++round) {
      const double before = value;
      value = climb_smooth(point, value);
      for (std::size_t j = 0; j < point.size(); ++j)
        if (!grids_[j].empty()) value = scan(point, j, value);
      if (value - before < 1e-6) break;
    }
    return value;
  }

  double climb_smooth(Point& point, double value) const {
    std::vector<std::size_t> columns;
    for (std::size_t j = 0; j < point.size(); ++j)
      if (grids_[j].empty()) columns.push_back(j);
    if (columns.empty()) return value;
    MinimiseOptions options;
    options.iterations = 60;
    options.gradient_tolerance = 1e-5;
    options.value_tolerance = 1e-9;
    Point x;
    const auto& length = model_.theta().length;
    for (const std::size_t j : columns) {  // in lengths of the kernel: about as steep in each direction
      x.push_back(point[j] / length[j]);
      options.lower.push_back(0);
      options.upper.push_back(1 / length[j]);
    }
    Point here = point;
    const double least = minimise([&](const Point& z, Point& gradient) {
      for (std::size_t i = 0; i < columns.size(); ++i) here[columns[i]] = z[i] * length[columns[i]];
      const Prediction p = model_.predict(here, true);
      const LogImprovement a = log_improvement(p.mean, p.sd, best_);
      for (std::size_t i = 0; i < columns.size(); ++i)
        gradient[i] = -(a.by_mean * p.mean_by[columns[i]] + a.by_sd * p.sd_by[columns[i]]) * length[columns[i]];
      return -a.value;
    }, x, options);
    if (!std::isfinite(least) || -least < value) return value;
    for (std::size_t i = 0; i < columns.size(); ++i) point[columns[i]] = std::clamp(x[i] * length[columns[i]], 0.0, 1.0);
    return -least;
  }

  /// Tries all values of a short grid, or of a long one those at 1, 2, 4 ... steps.
  double scan(Point& point, std::size_t j, double value) const {
    const auto& grid = grids_[j];
    const auto size = static_cast<std::int64_t>(grid.size());
    const auto now = static_cast<std::int64_t>(std::lower_bound(grid.begin(), grid.end(), point[j] - 1e-12) - grid.begin());
    std::vector<std::int64_t> tried;
    if (size <= 16) {
      for (std::int64_t i = 0; i < size; ++i) tried.push_back(i);
    } else {
      for (std::int64_t step = 1; step < size; step *= 2) {
        if (now - step >= 0) tried.push_back(now - step);
        if (now + step < size) tried.push_back(now + step);
      }
    }
    double kept = point[j];
    for (const std::int64_t i : tried) {
      point[j] = grid[static_cast<std::size_t>(i)];
      const double other = value_at(point);
      if (other > value) value = other, kept = point[j];
    }
    point[j] = kept;
    return value;
  }

  const Options& options_;
  const Task& task_;
  const TuneSpace& space_;
  const GaussianProcess& model_;
  const Points& observed_;
  double best_;
  std::vector<std::vector<double>> grids_;  ///< places of each column's values; empty: any
};

/// Trials before the model is asked.
std::int64_t initial_trials(const Options& options, const Task& task) {
  if (options.initial > 0) return options.initial;
  const auto d = static_cast<std::int64_t>(task.space->parameters.size());
  return task.planned > 0 ? std::min(d + 2, std::max<std::int64_t>(3, task.planned / 5)) : d + 2;
}

Suggestion suggest(const core::Options& base, const Task& task) {
  const auto& options = static_cast<const Options&>(base);
  std::vector<double> values;
  Points x;
  std::vector<bool> categorical;
  for (const auto& p : task.space->parameters) categorical.push_back(p.categorical());
  for (const Observation& o : task.seen) {
    x.push_back(task.space->encode(o.parameters));
    values.push_back(o.value);
  }
  const auto good = std::count_if(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  if (task.trial <= initial_trials(options, task) || good < 2) return design_point(task);

  GaussianProcess model(x, model_outputs(values, options.warp == "half-rank"), categorical);
  model.fit(exec::stream_key(task.seed, "tune-fit", std::to_string(task.trial)));
  // The best of what the model believes, not of what was measured: luck is not improved upon.
  std::vector<double> mean, sd;
  model.predict(x, mean, sd);
  for (const Json& pending : task.pending) {
    const Point point = task.space->encode(pending);
    mean.push_back(model.predict(point).mean);
    model.believe(point);
    x.push_back(point);
  }
  const double best = *std::max_element(mean.begin(), mean.end());
  std::vector<double> scores;
  const Points ranked = Search(options, task, model, x, best).run(scores);
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const Json configuration = task.space->decode(ranked[i]);
    if (task.taken.count(configuration.dump()) > 0) continue;
    const Prediction p = model.predict(task.space->encode(configuration));
    Json lengths = Json::object();
    for (std::size_t j = 0; j < categorical.size(); ++j) lengths[task.space->parameters[j].path] = model.theta().length[j];
    return {configuration, {{"by", "gp"}, {"log_improvement", scores[i]}, {"mean", p.mean}, {"sd", p.sd}, {"incumbent", best},
                            {"lengths", lengths}, {"scale", model.theta().scale}, {"noise", model.theta().noise}}};
  }
  exec::Stream stream(exec::stream_key(task.seed, "tune-fallback"), static_cast<std::uint64_t>(task.trial));
  return random_point(task, stream);
}
const core::Body<Suggest> body{"sampler", "gp", suggest};

}  // namespace
}  // namespace ds::tune::gp
