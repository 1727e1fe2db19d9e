#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/train/metrics/metrics.h"

namespace ds::train::metrics {
namespace {

/// Shares of each label, each prediction, and of both at once.
struct Shares {
  std::vector<double> label, prediction, both;
  double present = 0;  ///< classes that occur
  double right = 0;
};

Shares shares_of(const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predictions, std::int64_t classes) {
  const auto k = static_cast<std::size_t>(classes);
  const double one = 1 / static_cast<double>(labels.size());
  std::vector<std::int64_t> label(k, 0), prediction(k, 0), both(k, 0);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto y = static_cast<std::size_t>(labels[i]), p = static_cast<std::size_t>(predictions[i]);
    ++label[y], ++prediction[p];
    if (y == p) ++both[y], ++right;
  }
  Shares shares{std::vector<double>(k), std::vector<double>(k), std::vector<double>(k)};
  for (std::size_t c = 0; c < k; ++c) {
    shares.label[c] = one * static_cast<double>(label[c]), shares.prediction[c] = one * static_cast<double>(prediction[c]);
    shares.both[c] = one * static_cast<double>(both[c]);
    shares.present += label[c] + prediction[c] > 0;
  }
  shares.right = one * static_cast<double>(right);
  return shares;
}

/// A mean over classes of weight * both / (a * label + b * prediction), and what each sample moves it by.
Estimate ratio(const Shares& s, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predictions, double weight, double a, double b) {
  std::vector<double> by_label(s.label.size(), 0), by_prediction(by_label), by_both(by_label), influence;
  double value = 0;
  for (std::size_t c = 0; c < s.label.size(); ++c) {
    const double below = a * s.label[c] + b * s.prediction[c];
    if (below <= 0) continue;
    const double of_class = weight * s.both[c] / below;
    value += of_class / s.present;
    by_both[c] = weight / below / s.present;
    by_label[c] = -of_class * a / below / s.present;
    by_prediction[c] = -of_class * b / below / s.present;
  }
  influence.reserve(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto y = static_cast<std::size_t>(labels[i]), p = static_cast<std::size_t>(predictions[i]);
    influence.push_back(by_label[y] + by_prediction[p] + (y == p ? by_both[y] : 0));
  }
  return bounded(value, influence);
}

Estimate matthews(const Shares& s, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predictions) {
  double chance = 0, labelled = 1, predicted = 1;
  for (std::size_t c = 0; c < s.label.size(); ++c) {
    chance += s.label[c] * s.prediction[c];
    labelled -= s.label[c] * s.label[c];
    predicted -= s.prediction[c] * s.prediction[c];
  }
  const double over = s.right - chance, below = std::sqrt(std::max(0.0, labelled) * std::max(0.0, predicted));
  std::vector<double> influence(labels.size(), 0);
  if (below < 1e-12) return bounded(0, influence, -1, 1);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto y = static_cast<std::size_t>(labels[i]), p = static_cast<std::size_t>(predictions[i]);
    const double moved = (y == p) - s.prediction[y] - s.label[p];
    influence[i] = moved / below + over / below * (s.label[y] / labelled + s.prediction[p] / predicted);
  }
  return bounded(over / below, influence, -1, 1);
}

/// What each sample moves the area of one class by is added to `influence`; returns the area, NaN where the class or the rest is empty.
double area(const std::vector<float>& scores, const std::vector<std::int64_t>& labels, std::int64_t classes, std::int64_t c, std::vector<double>& influence) {
  const std::size_t n = labels.size(), k = static_cast<std::size_t>(classes), at = static_cast<std::size_t>(c);
  const auto positives = static_cast<double>(std::count(labels.begin(), labels.end(), c)), negatives = static_cast<double>(n) - positives;
  if (positives == 0 || negatives == 0) return std::nan("");
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return scores[a * k + at] < scores[b * k + at]; });
  std::vector<double> placed(n);  // of a positive: the share of negatives below it; of a negative: that of positives above it
  double below_p = 0, below_n = 0, sum = 0;
  for (std::size_t i = 0; i < n;) {
    std::size_t end = i;
    double p = 0, q = 0;
    for (; end < n && scores[order[end] * k + at] == scores[order[i] * k + at]; ++end) (labels[order[end]] == c ? p : q) += 1;
    for (; i < end; ++i) placed[order[i]] = labels[order[i]] == c ? (below_n + q / 2) / negatives : (positives - below_p - p / 2) / positives;
    sum += p * (below_n + q / 2);
    below_p += p, below_n += q;
  }
  const double value = sum / positives / negatives, all = static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) influence[i] += (placed[i] - value) * all / (labels[i] == c ? positives : negatives);
  return value;
}

}  // namespace

void put_classes(nlohmann::json& figures, const std::vector<std::int64_t>& labels, const std::vector<std::int64_t>& predictions, std::int64_t classes) {
  if (labels.empty()) return;
  const Shares shares = shares_of(labels, predictions, classes);
  put(figures, "precision_macro", ratio(shares, labels, predictions, 1, 0, 1));
  put(figures, "recall_macro", ratio(shares, labels, predictions, 1, 1, 0));
  put(figures, "f1_macro", ratio(shares, labels, predictions, 2, 1, 1));
  put(figures, "f1_micro", share(std::llround(shares.right * static_cast<double>(labels.size())), static_cast<std::int64_t>(labels.size())));
  put(figures, "mcc", matthews(shares, labels, predictions));
}

Estimate auroc(const std::vector<float>& scores, const std::vector<std::int64_t>& labels, std::int64_t classes) {
  std::vector<double> influence(labels.size(), 0);
  double sum = 0, counted = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const double value = area(scores, labels, classes, c, influence);
    if (std::isfinite(value)) sum += value, counted += 1;
  }
  if (counted == 0) return {std::nan(""), std::nan(""), std::nan("")};
  for (double& value : influence) value /= counted;
  return bounded(sum / counted, influence);
}

Estimate calibration_error(const std::vector<float>& confidences, const std::vector<bool>& correct) {
  constexpr std::size_t kBins = 15;
  const auto bin = [](float confidence) {
    const double place = std::ceil(static_cast<double>(confidence) * kBins) - 1;
    return static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0));
  };
  std::vector<double> gap(kBins, 0), influence;
  for (std::size_t i = 0; i < correct.size(); ++i) gap[bin(confidences[i])] += static_cast<double>(confidences[i]) - correct[i];
  double sum = 0;
  for (const double value : gap) sum += std::abs(value);
  for (std::size_t i = 0; i < correct.size(); ++i)
    influence.push_back((static_cast<double>(confidences[i]) - correct[i]) * (gap[bin(confidences[i])] < 0 ? -1 : 1));
  return bounded(sum / static_cast<double>(std::max<std::size_t>(1, correct.size())), influence);
}

}  // namespace ds::train::metrics
