#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/train/loss.h"
#include "engine/train/metrics/metrics.h"

namespace ds::train::metrics {
namespace {

constexpr double kZ = 1.959963984540054;

/// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = (static_cast<double>(i) + 1 + static_cast<double>(end)) / 2;
    for (; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n, mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::nan("");
}

}  // namespace

void put_numbers(nlohmann::json& figures, const at::Tensor& predicted, const at::Tensor& truth) {
  const std::int64_t n = truth.size(0), columns = truth.size(1);
  const at::Tensor x = predicted.contiguous(), y = truth.contiguous();
  const auto *xs = x.const_data_ptr<double>(), *ys = y.const_data_ptr<double>();
  double rmse = 0, mae = 0, r2 = 0;
  const double share = 1 / static_cast<double>(columns), one = 1 / static_cast<double>(n);
  std::vector<double> of_rmse(static_cast<std::size_t>(n), 0), of_mae(of_rmse), of_r2(of_rmse);
  for (std::int64_t c = 0; c < columns; ++c) {
    double square = 0, size = 0, middle = 0, spread = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double error = xs[i * columns + c] - ys[i * columns + c];
      square += error * error * one, size += std::abs(error) * one, middle += ys[i * columns + c] * one;
    }
    for (std::int64_t i = 0; i < n; ++i) spread += std::pow(ys[i * columns + c] - middle, 2) * one;
    // A column of one value: 1 where it is told exactly, else 0, as scikit-learn has it.
    rmse += share * std::sqrt(square), mae += share * size, r2 += share * (spread > 0 ? 1 - square / spread : square > 0 ? 0 : 1);
    for (std::int64_t i = 0; i < n; ++i) {
      const double error = xs[i * columns + c] - ys[i * columns + c], off = ys[i * columns + c] - middle;
      auto row = static_cast<std::size_t>(i);
      of_rmse[row] += square > 0 ? share * error * error / (2 * std::sqrt(square)) : 0;
      of_mae[row] += share * std::abs(error);
      of_r2[row] += spread > 0 ? share * (square * off * off / spread - error * error) / spread : 0;
    }
  }
  put(figures, "rmse", unbounded(rmse, of_rmse, 0));
  put(figures, "mae", unbounded(mae, of_mae, 0));
  Estimate determined = unbounded(r2, of_r2);
  determined.high = std::min(determined.high, 1.0);
  put(figures, "r2", determined);
}

Estimate spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const double rho = correlation(ranks(a), ranks(b)), n = static_cast<double>(a.size());
  if (!std::isfinite(rho)) return {rho, rho, rho};
  if (n <= 3 || std::abs(rho) >= 1) return {rho, n <= 3 ? -1 : rho, n <= 3 ? 1 : rho};
  const double z = std::atanh(rho), half = kZ * std::sqrt((1 + rho * rho / 2) / (n - 3));
  return {rho, std::tanh(z - half), std::tanh(z + half)};
}

Estimate recall_at_1(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& labels) {
  constexpr std::int64_t kRows = 512;
  const at::Tensor from = unit_rows(queries), to = unit_rows(keys).t();
  const std::int64_t n = from.size(0);
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < n; first += kRows) {
    const std::int64_t rows = std::min(kRows, n - first);
    at::Tensor scores = from.narrow(0, first, rows).matmul(to);
    if (labels.defined()) scores.diagonal(first).slice(0, 0, rows).fill_(-2);
    const at::Tensor nearest = scores.argmax(1).contiguous();
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t found = nearest.const_data_ptr<std::int64_t>()[i], own = first + i;
      right += labels.defined() ? labels.const_data_ptr<std::int64_t>()[found] == labels.const_data_ptr<std::int64_t>()[own] : found == own;
    }
  }
  return share(right, n);
}

}  // namespace ds::train::metrics
