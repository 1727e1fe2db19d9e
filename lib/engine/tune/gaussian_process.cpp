#include "engine/tune/gaussian_process.h"

#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "base/core/error.h"
#include "engine/exec/random.h"
#include "engine/tune/lbfgs.h"

namespace ds::tune {
namespace {

constexpr double kLengthFloor = 0.025, kNoiseFloor = 1e-6;
const double kRoot5 = std::sqrt(5.0);

/// Log-normal prior: mean and standard deviation of the logarithm.
struct LogNormal {
  double mean, sd;
  double mode() const { return std::exp(mean - sd * sd); }
  /// -log density up to a constant; adds its derivative by log x.
  double cost(double x, double& by_log) const {
    const double t = (std::log(x) - mean) / sd;
    by_log = 1 + t / sd;
    return std::log(x) + t * t / 2;
  }
};

LogNormal length_prior(std::size_t d) { return {std::numbers::sqrt2 + 0.5 * std::log(static_cast<double>(d)), std::sqrt(3.0)}; }
constexpr LogNormal kScalePrior{0, 1}, kNoisePrior{-4, 1};

at::Tensor square(std::size_t n) { return at::empty({static_cast<std::int64_t>(n), static_cast<std::int64_t>(n)}, at::kDouble); }

/// The lower factor of a matrix, with the least jitter of 0, 1e-8 .. 1e-4 of its mean diagonal that makes it positive definite.
std::optional<at::Tensor> factorise(const at::Tensor& matrix) {
  const double diagonal = matrix.diagonal().mean().item<double>();
  for (double jitter = 0; jitter <= 1.01e-4; jitter = jitter == 0 ? 1e-8 : jitter * 10) {
    at::Tensor trial = matrix;
    if (jitter > 0) {
      trial = matrix.clone();
      trial.diagonal().add_(jitter * diagonal);
    }
    const auto [factor, info] = at::linalg_cholesky_ex(trial);
    if (info.item<int>() == 0 && std::isfinite(factor.diagonal().sum().item<double>())) return factor.contiguous();
  }
  return std::nullopt;
}

}  // namespace

GaussianProcess::GaussianProcess(Points x, std::vector<double> y, std::vector<bool> categorical)
    : d_(categorical.size()), y_(std::move(y)), categorical_(std::move(categorical)) {
  if (x.size() != y_.size()) throw Error(Exit::kFailure, "gaussian process", "as many points as values are needed");
  for (const auto& row : x) x_.insert(x_.end(), row.begin(), row.end());
}

double GaussianProcess::squared_distance(const double* a, const double* b, const std::vector<double>& inverse) const {
  double sum = 0;
  for (std::size_t j = 0; j < d_; ++j) {
    const double delta = categorical_[j] ? (a[j] == b[j] ? 0.0 : 1.0) : a[j] - b[j];
    sum += delta * delta * inverse[j];
  }
  return sum;
}

Hyperparameters GaussianProcess::hyperparameters(const std::vector<double>& u) const {
  Hyperparameters theta;
  for (std::size_t j = 0; j < d_; ++j) theta.length.push_back(kLengthFloor + std::exp(u[j]));
  theta.scale = std::exp(u[d_]);
  theta.noise = kNoiseFloor + std::exp(u[d_ + 1]);
  return theta;
}

std::vector<double> GaussianProcess::parameters(const Hyperparameters& theta) const {
  std::vector<double> u;
  for (const double length : theta.length) u.push_back(std::log(std::max(length - kLengthFloor, 1e-9)));
  u.push_back(std::log(theta.scale));
  u.push_back(std::log(std::max(theta.noise - kNoiseFloor, 1e-12)));
  return u;
}

double GaussianProcess::objective(const std::vector<double>& u, std::vector<double>& gradient) const {
  const std::size_t n = y_.size();
  const Hyperparameters theta = hyperparameters(u);
  std::vector<double> inverse;
  for (const double length : theta.length) inverse.push_back(1 / (length * length));
  at::Tensor matrix = square(n);
  auto* k = matrix.mutable_data_ptr<double>();
  // s m(r) for the factor; (5/3) s (1 + sqrt5 r) exp(-sqrt5 r), which is -2 dk/d(r^2), for the gradient.
  std::vector<double> slope(n * n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const double r2 = squared_distance(&x_[a * d_], &x_[b * d_], inverse), r = kRoot5 * std::sqrt(r2), e = theta.scale * std::exp(-r);
      k[a * n + b] = k[b * n + a] = e * (1 + r + r * r / 3);
      slope[a * n + b] = 5.0 / 3 * e * (1 + r);
    }
    k[a * n + a] = theta.scale + theta.noise;
  }
  const auto factor = factorise(matrix);
  if (!factor) return std::numeric_limits<double>::infinity();
  const at::Tensor inverse_matrix = at::cholesky_inverse(*factor).contiguous();
  const double* precision = inverse_matrix.const_data_ptr<double>();
  const double* lower = factor->const_data_ptr<double>();
  std::vector<double> alpha(n, 0);
  double value = 0;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) alpha[a] += precision[a * n + b] * y_[b];
    value += 0.5 * y_[a] * alpha[a] + std::log(lower[a * n + a]);
  }
  // Half of W = alpha alpha' - K^-1 against dK, once for each pair.
  gradient.assign(u.size(), 0);
  double by_scale = 0, by_noise = 0;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const double w = alpha[a] * alpha[b] - precision[a * n + b], g = w * slope[a * n + b];
      by_scale += w * k[a * n + b];
      for (std::size_t j = 0; j < d_; ++j) {
        const double delta = categorical_[j] ? (x_[a * d_ + j] == x_[b * d_ + j] ? 0.0 : 1.0) : x_[a * d_ + j] - x_[b * d_ + j];
        gradient[j] -= g * delta * delta * inverse[j];
      }
    }
    const double w = alpha[a] * alpha[a] - precision[a * n + a];
    by_scale += 0.5 * w * theta.scale;
    by_noise += 0.5 * w;
  }
  const LogNormal length = length_prior(d_);
  double by_log = 0;
  for (std::size_t j = 0; j < d_; ++j) {
    value += length.cost(theta.length[j], by_log);
    gradient[j] = (gradient[j] + by_log) * (theta.length[j] - kLengthFloor) / theta.length[j];  // d log l / du
  }
  value += kScalePrior.cost(theta.scale, by_log);
  gradient[d_] = -by_scale + by_log;
  value += kNoisePrior.cost(theta.noise, by_log);
  gradient[d_ + 1] = (-by_noise + by_log / theta.noise) * (theta.noise - kNoiseFloor);
  return value;
}

std::vector<double> GaussianProcess::prior_mode() const {
  Hyperparameters theta;
  theta.length.assign(d_, length_prior(d_).mode() + kLengthFloor);
  theta.scale = 1;
  theta.noise = kNoisePrior.mode();
  return parameters(theta);
}

void GaussianProcess::fit(std::uint64_t key, int restarts) {
  MinimiseOptions options;
  options.iterations = 100;
  options.gradient_tolerance = 1e-3;
  options.value_tolerance = 1e-7;
  const Objective goal = [this](const std::vector<double>& u, std::vector<double>& gradient) { return objective(u, gradient); };
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (int start = 0; start <= restarts; ++start) {
    std::vector<double> u = prior_mode();
    exec::Stream stream(key, static_cast<std::uint64_t>(start));
    if (start > 0) {
      // About the mode, less wide than the prior: its tails are flat.
      for (std::size_t j = 0; j < d_; ++j) u[j] += 1.2 * stream.normal() + 0.5;
      u[d_] += 0.5 * stream.normal();
      u[d_ + 1] += stream.normal() - 2;
    }
    const double value = minimise(goal, u, options);
    if (std::isfinite(value) && value < least) least = value, best = u;
  }
  if (!best.empty() && condition(hyperparameters(best))) return;
  if (!condition(hyperparameters(prior_mode()))) throw Error(Exit::kFailure, "gaussian process", "the kernel matrix is not positive definite");
}

bool GaussianProcess::condition(const Hyperparameters& theta) {
  const std::size_t n = y_.size();
  theta_ = theta;
  inverse_.clear();
  for (const double length : theta.length) inverse_.push_back(1 / (length * length));
  at::Tensor matrix = square(n);
  auto* k = matrix.mutable_data_ptr<double>();
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const double r = kRoot5 * std::sqrt(squared_distance(&x_[a * d_], &x_[b * d_], inverse_));
      k[a * n + b] = k[b * n + a] = theta.scale * (1 + r + r * r / 3) * std::exp(-r);
    }
    k[a * n + a] = theta.scale + theta.noise;
  }
  const auto factor = factorise(matrix);
  if (!factor) return false;
  factor_ = *factor;
  const double* lower = factor_.const_data_ptr<double>();
  lower_.assign(lower, lower + n * n);
  weights_ = y_;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) weights_[a] -= lower_[a * n + b] * weights_[b];
    weights_[a] /= lower_[a * n + a];
  }
  for (std::size_t a = n; a-- > 0;) {
    weights_[a] /= lower_[a * n + a];
    for (std::size_t b = 0; b < a; ++b) weights_[b] -= lower_[a * n + b] * weights_[a];
  }
  return true;
}

void GaussianProcess::believe(const std::vector<double>& point) {
  const double mean = predict(point).mean;
  x_.insert(x_.end(), point.begin(), point.end());
  y_.push_back(mean);
  if (condition(theta_)) return;
  x_.resize(x_.size() - d_);
  y_.pop_back();
  condition(theta_);
}

Prediction GaussianProcess::predict(const std::vector<double>& point, bool derivatives) const {
  const std::size_t n = y_.size();
  Prediction p;
  std::vector<double> k(n), half(n), slope(n);
  for (std::size_t a = 0; a < n; ++a) {
    const double r = kRoot5 * std::sqrt(squared_distance(&x_[a * d_], point.data(), inverse_)), e = theta_.scale * std::exp(-r);
    k[a] = e * (1 + r + r * r / 3);
    slope[a] = 5.0 / 3 * e * (1 + r);
    p.mean += k[a] * weights_[a];
  }
  double explained = 0;
  for (std::size_t a = 0; a < n; ++a) {
    half[a] = k[a];
    const double* row = &lower_[a * n];
    double sum = 0;
    for (std::size_t b = 0; b < a; ++b) sum += row[b] * half[b];
    half[a] = (half[a] - sum) / row[a];
    explained += half[a] * half[a];
  }
  p.sd = std::sqrt(std::max(theta_.scale - explained, 1e-12));
  if (!derivatives) return p;
  for (std::size_t a = n; a-- > 0;) {  // now (K + noise)^-1 k
    half[a] /= lower_[a * n + a];
    const double* row = &lower_[a * n];
    for (std::size_t b = 0; b < a; ++b) half[b] -= row[b] * half[a];
  }
  p.mean_by.assign(d_, 0);
  p.sd_by.assign(d_, 0);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t j = 0; j < d_; ++j) {
      if (categorical_[j]) continue;
      const double by = -slope[a] * (point[j] - x_[a * d_ + j]) * inverse_[j];  // dk_a / dx_j
      p.mean_by[j] += by * weights_[a];
      p.sd_by[j] -= by * half[a] / p.sd;
    }
  return p;
}

void GaussianProcess::predict(const Points& points, std::vector<double>& mean, std::vector<double>& sd) const {
  const std::size_t n = y_.size(), m = points.size();
  mean.assign(m, 0);
  sd.assign(m, 0);
  at::Tensor cross = at::empty({static_cast<std::int64_t>(n), static_cast<std::int64_t>(m)}, at::kDouble);
  auto* k = cross.mutable_data_ptr<double>();
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t i = 0; i < m; ++i) {
      const double r = kRoot5 * std::sqrt(squared_distance(&x_[a * d_], points[i].data(), inverse_));
      k[a * m + i] = theta_.scale * (1 + r + r * r / 3) * std::exp(-r);
      mean[i] += k[a * m + i] * weights_[a];
    }
  const at::Tensor half = at::linalg_solve_triangular(factor_, cross, /*upper=*/false);
  const at::Tensor explained = half.mul(half).sum(0).contiguous();
  for (std::size_t i = 0; i < m; ++i) sd[i] = std::sqrt(std::max(theta_.scale - explained.const_data_ptr<double>()[i], 1e-12));
}

}  // namespace ds::tune
