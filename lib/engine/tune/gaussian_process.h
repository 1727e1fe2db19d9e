// Gaussian process regression with a Matern 5/2 kernel: float64, a length for each column, hyperparameters at the maximum of their
// posterior. Meant for up to about 1000 points; n^3 in the fit.
//
//   k(a, b) = s (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r),  r^2 = sum_j (a_j - b_j)^2 / l_j^2
//
// where the difference of two categories is 0 or 1. Rasmussen & Williams 2006, eq. 4.17; priors of Hvarfner et al. 2024 (arXiv:2402.02229).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/tune/points.h"

namespace ds::tune {

struct Hyperparameters {
  std::vector<double> length;  ///< one a column
  double scale = 1;            ///< variance of f
  double noise = 1e-2;         ///< variance of the observations about f
};

/// Mean and standard deviation of f at a point, with derivatives by the point's columns (zero for categorical ones).
struct Prediction {
  double mean = 0, sd = 0;
  std::vector<double> mean_by, sd_by;
};

class GaussianProcess {
 public:
  /// `x` [n, d] in [0, 1] or category indices; `y` [n], about zero mean and unit variance; `categorical` [d].
  GaussianProcess(Points x, std::vector<double> y, std::vector<bool> categorical);

  /// -log p(y | u) - log prior(u) and its gradient, u = log(l_j - 0.025) ..., log s, log(noise - 1e-6). Infinite where the matrix is not
  /// positive definite even with jitter.
  double objective(const std::vector<double>& u, std::vector<double>& gradient) const;
  Hyperparameters hyperparameters(const std::vector<double>& u) const;
  std::vector<double> parameters(const Hyperparameters& theta) const;

  /// Fits the hyperparameters from the mode of their prior and `restarts` draws from it; a function of the data and the key.
  void fit(std::uint64_t key, int restarts = 2);
  /// Takes these hyperparameters; false (and no posterior) where the matrix is not positive definite even with jitter.
  bool condition(const Hyperparameters& theta);
  const Hyperparameters& theta() const { return theta_; }

  /// Adds a point with its own mean as its value (kriging believer; Ginsbourger et al. 2010), for a trial that still runs.
  void believe(const std::vector<double>& point);

  Prediction predict(const std::vector<double>& point, bool derivatives = false) const;
  /// Means and standard deviations of many points.
  void predict(const Points& points, std::vector<double>& mean, std::vector<double>& sd) const;
  std::size_t size() const { return y_.size(); }

 private:
  double squared_distance(const double* a, const double* b, const std::vector<double>& inverse) const;
  std::vector<double> prior_mode() const;

  std::size_t d_ = 0;
  std::vector<double> x_, y_;  ///< x row by row
  std::vector<bool> categorical_;
  Hyperparameters theta_;
  std::vector<double> inverse_;           ///< 1 / l^2
  at::Tensor factor_;                     ///< lower Cholesky factor of K + noise
  std::vector<double> lower_, weights_;   ///< the same row by row; (K + noise)^-1 y
};

}  // namespace ds::tune
