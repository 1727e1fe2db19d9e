#include "engine/train/find_lr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/core/error.h"
#include "base/report/charts.h"
#include "base/report/page.h"
#include "engine/train/trial.h"

namespace ds::train {
namespace {

constexpr double kKept = 0.9, kWorse = 4;
constexpr std::size_t kLeast = 10;

/// The next value of the smoothed loss, corrected; `mean` is the running one.
double smoothed(double& mean, double loss, std::size_t step) {
  mean = kKept * mean + (1 - kKept) * loss;
  return mean / (1 - std::pow(kKept, static_cast<double>(step + 1)));
}

}  // namespace

LrCurve curve_of(std::vector<double> lr, std::vector<double> loss) {
  LrCurve curve{.lr = std::move(lr), .loss = std::move(loss), .smooth = {}};
  double mean = 0, best = INFINITY;
  for (std::size_t i = 0; i < curve.loss.size() && !curve.diverged; ++i) {
    if (std::isfinite(curve.loss[i])) curve.smooth.push_back(smoothed(mean, curve.loss[i], i));
    curve.diverged = !std::isfinite(curve.loss[i]) || curve.smooth.back() > kWorse * best;
    if (!curve.smooth.empty()) best = std::min(best, curve.smooth.back());
  }
  const std::size_t n = curve.smooth.size();
  if (n < kLeast)
    throw Error(Exit::kFailure, "--find-lr", fmt::format("the loss was finite for {} steps, expected at least {}", n, kLeast),
                "the net may not train at all: see --probe");
  double steepest = INFINITY;
  for (std::size_t i = 1; i + 1 < n; ++i) {
    const double slope = (curve.smooth[i + 1] - curve.smooth[i - 1]) / std::log(curve.lr[i + 1] / curve.lr[i - 1]);
    if (slope < steepest) steepest = slope, curve.suggested = curve.lr[i];
  }
  return curve;
}

LrCurve find_lr(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, const TrainerOptions& options,
                const io::Checkpoint& checkpoint, const LrRange& range) {
  std::vector<double> rates, losses;
  const double ratio = std::log(range.to / range.from) / static_cast<double>(std::max<std::int64_t>(1, range.steps - 1));
  TrainerOptions ramp = options;
  ramp.rate = [&](std::int64_t step) { return range.from * std::exp(ratio * static_cast<double>(step)); };
  double mean = 0, best = INFINITY;
  try {
    try_steps(model, data, fit, ramp, checkpoint, range.steps, [&](const StepFigures& figures) {
      rates.push_back(figures.lr);
      losses.push_back(figures.loss);
      const double now = smoothed(mean, figures.loss, losses.size() - 1);
      const bool on = now <= kWorse * best;
      best = std::min(best, now);
      return on;
    });
  } catch (const Error& e) {
    if (e.code() != Exit::kFailure) throw;  // a loss that is not finite ends the ramp
    rates.push_back(ramp.rate(static_cast<std::int64_t>(rates.size())));
    losses.push_back(INFINITY);
  }
  return curve_of(std::move(rates), std::move(losses));
}

Json LrCurve::to_json() const {
  Json losses = Json::array();
  for (const double value : loss) losses.push_back(std::isfinite(value) ? Json(value) : Json());
  return {{"suggested", suggested}, {"diverged", diverged}, {"lr", lr}, {"loss", losses}, {"smooth", smooth}};
}

std::string LrCurve::svg() const {
  report::Series each{.name = "loss of a step", .model = 0, .faint = true, .points = {}}, mean{.name = "smoothed", .model = 0, .points = {}};
  report::Series chosen{.name = fmt::format("steepest: {:.2g}", suggested), .model = 1, .points = {}};
  double top = 0;
  for (std::size_t i = 0; i < smooth.size(); ++i) top = std::max(top, std::min(smooth[i], 2 * smooth[0]));
  for (std::size_t i = 0; i < smooth.size(); ++i) {
    const double at = std::log10(lr[i]);
    if (loss[i] <= top) each.points.emplace_back(at, loss[i]);
    if (smooth[i] <= top) mean.points.emplace_back(at, smooth[i]);
    if (lr[i] == suggested) chosen.points.emplace_back(at, smooth[i]);
  }
  std::string text = report::line_chart({each, mean, chosen}, {.title = "loss over the learning rate", .x_label = "log10 of the learning rate", .width = 560,
                                                               .height = 360, .markers = true});
  // In a file of its own the picture brings the page's colours along.
  const std::size_t open = text.find("<svg"), close = text.find('>', open);
  const bool named = text.substr(0, close).find("xmlns") != std::string::npos;
  text.insert(close + 1, fmt::format("<style>{}</style>", report::style()));
  if (!named) text.insert(open + 4, " xmlns=\"http://www.w3.org/2000/svg\"");
  return text + "\n";
}

}  // namespace ds::train
