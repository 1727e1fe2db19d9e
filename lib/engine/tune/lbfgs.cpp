#include "engine/tune/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace ds::tune {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

struct Pair {
  Vector step, change;  ///< of x and of the gradient
  double inverse;       ///< 1 / step . change
};

/// -H g over the free variables: the two loops.
Vector direction(const std::deque<Pair>& pairs, Vector q, const std::vector<bool>& free) {
  const auto mask = [&](Vector& v) {
    for (std::size_t i = 0; i < v.size(); ++i)
      if (!free[i]) v[i] = 0;
  };
  std::vector<double> factors(pairs.size());
  for (std::size_t k = pairs.size(); k-- > 0;) {
    factors[k] = pairs[k].inverse * dot(pairs[k].step, q);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] -= factors[k] * pairs[k].change[i];
  }
  if (!pairs.empty()) {
    const double scale = 1 / (pairs.back().inverse * dot(pairs.back().change, pairs.back().change));
    for (double& value : q) value *= scale;
  }
  mask(q);
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    const double beta = pairs[k].inverse * dot(pairs[k].change, q);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] += (factors[k] - beta) * pairs[k].step[i];
  }
  for (double& value : q) value = -value;
  mask(q);
  return q;
}

class Search {
 public:
  Search(const Objective& objective, Vector& x, const MinimiseOptions& options) : objective_(objective), x_(x), options_(options), gradient_(x.size()) {}

  double run() {
    value_ = objective_(x_, gradient_);
    if (!std::isfinite(value_)) return value_;
    for (int i = 0; i < options_.iterations; ++i)
      if (!step()) break;
    return value_;
  }

 private:
  bool bounded() const { return !options_.lower.empty(); }

  /// One line search; false when there is nothing more to gain.
  bool step() {
    Vector projected = gradient_;
    std::vector<bool> free(x_.size(), true);
    double largest = 0;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (bounded() && ((x_[i] <= options_.lower[i] && gradient_[i] > 0) || (x_[i] >= options_.upper[i] && gradient_[i] < 0))) {
        free[i] = false;
        projected[i] = 0;
      }
      largest = std::max(largest, std::abs(projected[i]));
    }
    if (largest < options_.gradient_tolerance) return false;
    Vector way = direction(pairs_, projected, free);
    if (!(dot(way, gradient_) < 0)) {
      pairs_.clear();
      way = direction(pairs_, projected, free);
    }
    return descend(way) || retry(projected, free);
  }

  /// The same along the gradient, where the memory led nowhere.
  bool retry(const Vector& projected, const std::vector<bool>& free) {
    if (pairs_.empty() || done_) return false;
    pairs_.clear();
    return descend(direction(pairs_, projected, free));
  }

  bool descend(const Vector& way) {
    double length = 1;
    if (pairs_.empty()) length = std::min(1.0, 1 / std::sqrt(dot(way, way)));
    Vector next(x_.size()), gradient(x_.size()), moved(x_.size());
    for (int tries = 0; tries < 30; ++tries) {
      for (std::size_t i = 0; i < x_.size(); ++i) {
        next[i] = x_[i] + length * way[i];
        if (bounded()) next[i] = std::clamp(next[i], options_.lower[i], options_.upper[i]);
        moved[i] = next[i] - x_[i];
      }
      const double slope = dot(gradient_, moved), value = objective_(next, gradient);
      if (std::isfinite(value) && value <= value_ + 1e-4 * slope) return accept(next, gradient, moved, value);
      // Minimum of the parabola through value, slope and the new value, kept well inside.
      const double curve = std::isfinite(value) ? 2 * (value - value_ - slope) : 0;
      length *= curve > 0 ? std::clamp(-slope / curve, 0.1, 0.5) : 0.2;
    }
    return false;
  }

  bool accept(const Vector& next, const Vector& gradient, const Vector& moved, double value) {
    Vector change(x_.size());
    for (std::size_t i = 0; i < x_.size(); ++i) change[i] = gradient[i] - gradient_[i];
    const double curvature = dot(moved, change);
    if (curvature > 1e-12 * std::sqrt(dot(moved, moved) * dot(change, change))) {
      pairs_.push_back({moved, change, 1 / curvature});
      if (static_cast<int>(pairs_.size()) > options_.memory) pairs_.pop_front();
    }
    done_ = value_ - value <= options_.value_tolerance * std::max({1.0, std::abs(value_), std::abs(value)});
    x_ = next;
    gradient_ = gradient;
    value_ = value;
    return !done_;
  }

  const Objective& objective_;
  Vector& x_;
  const MinimiseOptions& options_;
  Vector gradient_;
  double value_ = 0;
  bool done_ = false;
  std::deque<Pair> pairs_;
};

}  // namespace

double minimise(const Objective& objective, std::vector<double>& x, const MinimiseOptions& options) { return Search(objective, x, options).run(); }

}  // namespace ds::tune
