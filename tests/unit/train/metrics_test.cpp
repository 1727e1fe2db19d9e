// Metrics against scikit-learn (tests/golden/make_measures.py), and their intervals against resampling.
#include "engine/train/metrics/metrics.h"

#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>

#include "base/core/interval.h"
#include "engine/exec/random.h"

using namespace ds;
using namespace ds::train;
using Json = nlohmann::json;

namespace {

Json golden() { return Json::parse(std::ifstream(DS_SOURCE_DIR "/tests/golden/measures.json")); }

std::vector<bool> right(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::vector<bool> equal;
  for (std::size_t i = 0; i < a.size(); ++i) equal.push_back(a[i] == b[i]);
  return equal;
}

/// Classes of a noisy classifier: label i mod k, right in some 70 %.
struct Sample {
  std::vector<std::int64_t> labels, predictions;
  std::vector<float> shares, confidences;
};

Sample draw(std::size_t n, std::int64_t classes, std::uint64_t seed) {
  exec::Stream stream(exec::stream_key(seed, "metrics test"));
  Sample sample;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t label = stream.uniform() < 0.5 ? 0 : std::int64_t(stream.below(std::uint64_t(classes)));
    std::vector<double> scores;
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += scores.emplace_back(std::exp(stream.normal() + (c == label ? 1.5 : 0)));
    std::size_t best = 0;
    for (std::size_t c = 0; c < scores.size(); ++c) {
      sample.shares.push_back(float(scores[c] / sum));
      if (scores[c] > scores[best]) best = c;
    }
    sample.labels.push_back(label);
    sample.predictions.push_back(std::int64_t(best));
    sample.confidences.push_back(float(scores[best] / sum));
  }
  return sample;
}

Json figures(const Sample& s, std::int64_t classes) {
  Json json = Json::object();
  metrics::put_classes(json, s.labels, s.predictions, classes);
  metrics::put(json, "auroc", metrics::auroc(s.shares, s.labels, classes));
  metrics::put(json, "ece", metrics::calibration_error(s.confidences, right(s.labels, s.predictions)));
  return json;
}

}  // namespace

TEST_CASE("metrics: classes as scikit-learn has them, ties and absent classes among them") {
  for (const Json& wanted : golden()["classes"]) {
    Sample s;
    s.labels = wanted["labels"].get<std::vector<std::int64_t>>(), s.predictions = wanted["predictions"].get<std::vector<std::int64_t>>();
    s.shares = wanted["shares"].get<std::vector<float>>();
    const std::int64_t classes = wanted["classes"];
    for (std::size_t i = 0; i < s.labels.size(); ++i)
      s.confidences.push_back(*std::max_element(s.shares.begin() + std::ptrdiff_t(i) * classes, s.shares.begin() + std::ptrdiff_t(i + 1) * classes));
    const Json found = figures(s, classes);
    for (const char* name : {"precision_macro", "recall_macro", "f1_macro", "f1_micro", "mcc", "auroc", "ece"}) {
      CAPTURE(name);
      CHECK(std::abs(found[name].get<double>() - wanted[name].get<double>()) < 1e-12);
      CHECK(found[std::string(name) + "_low"] <= found[name]);
      CHECK(found[name] <= found[std::string(name) + "_high"]);
    }
  }
}

TEST_CASE("metrics: numbers and ranks as scikit-learn and scipy have them") {
  const Json wanted = golden()["numbers"];
  const auto table = [&](const char* name) { return at::tensor(wanted[name].get<std::vector<double>>(), at::kDouble).reshape({-1, 2}); };
  Json found = Json::object();
  metrics::put_numbers(found, table("predicted"), table("truth"));
  for (const char* name : {"rmse", "mae", "r2"}) CHECK(found[name].get<double>() == doctest::Approx(wanted[name].get<double>()).epsilon(1e-12));
  const metrics::Estimate rho = metrics::spearman(wanted["a"].get<std::vector<double>>(), wanted["b"].get<std::vector<double>>());
  CHECK(rho.value == doctest::Approx(wanted["spearman"].get<double>()).epsilon(1e-12));
  CHECK(rho.low < rho.value);
  CHECK(rho.value < rho.high);
  CHECK(std::isnan(metrics::spearman({1, 1, 1, 1, 1}, {1, 2, 3, 4, 5}).value));
}

TEST_CASE("metrics: intervals are as wide as those of resampling, and an accuracy's is Wilson's") {
  constexpr std::int64_t kClasses = 4;
  const Sample s = draw(400, kClasses, 1);
  const Json found = figures(s, kClasses);
  exec::Stream stream(exec::stream_key(2, "metrics test"));
  std::map<std::string, std::vector<double>> drawn;
  for (int k = 0; k < 300; ++k) {
    Sample again;
    for (std::size_t i = 0; i < s.labels.size(); ++i) {
      const std::size_t from = stream.below(s.labels.size());
      again.labels.push_back(s.labels[from]), again.predictions.push_back(s.predictions[from]), again.confidences.push_back(s.confidences[from]);
      again.shares.insert(again.shares.end(), s.shares.begin() + std::ptrdiff_t(from) * kClasses, s.shares.begin() + std::ptrdiff_t(from + 1) * kClasses);
    }
    const Json one = figures(again, kClasses);
    for (const char* name : {"precision_macro", "recall_macro", "f1_macro", "f1_micro", "mcc", "auroc"}) drawn[name].push_back(one[name]);
  }
  for (const auto& [name, values] : drawn) {
    CAPTURE(name);
    double mean = 0, square = 0;
    for (const double value : values) mean += value / double(values.size());
    for (const double value : values) square += (value - mean) * (value - mean) / double(values.size());
    const double width = found[name + "_high"].get<double>() - found[name + "_low"].get<double>();
    CHECK(width == doctest::Approx(2 * 1.96 * std::sqrt(square)).epsilon(0.15));
  }
  std::vector<double> influence(50, 0);
  std::fill_n(influence.begin(), 40, 1.0);
  const metrics::Estimate share = metrics::bounded(0.8, influence);
  CHECK(share.low == doctest::Approx(core::wilson(0.8, 50).first));
  CHECK(share.high == doctest::Approx(core::wilson(0.8, 50).second));
  const metrics::Estimate sure = metrics::bounded(1, std::vector<double>(50, 1));
  CHECK(sure.low == doctest::Approx(core::wilson(1, 50).first));
}

TEST_CASE("metrics: what is nearest") {
  const at::Tensor a = at::tensor({1., 0., 0., 1., 1., 1.}, at::kDouble).reshape({3, 2}), b = at::tensor({2., 0.1, 0.1, 1., 0., 3.}, at::kDouble).reshape({3, 2});
  // Row 1's nearest is (0, 3), not its own (0.1, 1); row 2 lies between all and none is its own.
  CHECK(metrics::recall_at_1(a, b, {}).value == doctest::Approx(1.0 / 3));
  const at::Tensor labels = at::tensor(std::vector<std::int64_t>{0, 0, 0, 1}, at::kLong);
  const at::Tensor rows = at::tensor({1., 0., 1., 0.1, 0., 1., 0.1, 1.}, at::kDouble).reshape({4, 2});
  CHECK(metrics::recall_at_1(rows, rows, labels).value == doctest::Approx(0.5));
}
