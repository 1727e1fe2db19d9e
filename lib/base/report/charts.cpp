#include "base/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/report/table.h"

namespace ds::report {

namespace {

constexpr double kDigit = 6.8, kLetter = 7.2;  ///< about as wide as a character of a tick and of a name is

struct Frame {
  double left, top, right, bottom;
  Axis x, y;
  double px(double v) const { return left + x.at(v) * (right - left); }
  double py(double v) const { return bottom - y.at(v) * (bottom - top); }
};

double step_of(const Axis& axis) { return axis.ticks.size() > 1 ? axis.ticks[1] - axis.ticks[0] : 1; }

/// Grid, ticks and the label of x. Texts that would touch the one before them are left out.
void draw_frame(Svg& svg, const Frame& f, const std::vector<std::string>& x_ticks, const std::vector<std::string>& y_ticks,
                const std::string& x_label) {
  for (std::size_t i = 0; i < f.y.ticks.size(); ++i) {
    const double y = f.py(f.y.ticks[i]);
    svg.line(f.left, y, f.right, y, i == 0 ? "axis" : "grid");
    svg.text(f.left - 8, y + 4, y_ticks[i], "tick", "end");
  }
  double free = -INFINITY;
  for (std::size_t i = 0; i < f.x.ticks.size(); ++i) {
    const double x = f.px(f.x.ticks[i]), half = kDigit / 2 * static_cast<double>(characters(x_ticks[i]));
    svg.line(x, f.bottom, x, f.bottom + 4, "axis");
    if (x - half < free) continue;
    svg.text(x, f.bottom + 18, x_ticks[i], "tick", "middle");
    free = x + half + 8;
  }
  svg.text((f.left + f.right) / 2, f.bottom + 38, x_label, "label", "middle");
}

std::vector<std::string> texts(const Axis& axis, double scale = 1, const char* unit = "") {
  std::vector<std::string> out;
  for (const double tick : axis.ticks) out.push_back(tick_text(tick * scale, step_of(axis) * scale) + unit);
  return out;
}

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points) {
  constexpr std::size_t kMost = 240;
  std::vector<std::pair<double, double>> finite;
  for (const auto& p : points)
    if (std::isfinite(p.first) && std::isfinite(p.second)) finite.push_back(p);
  if (finite.size() <= kMost) return finite;
  std::vector<std::pair<double, double>> out;
  for (std::size_t i = 0; i < kMost; ++i) out.push_back(finite[i * (finite.size() - 1) / (kMost - 1)]);
  return out;
}

}  // namespace

std::string time_text(double seconds) {
  std::string text = seconds_text(seconds);
  if (const std::size_t at = text.find(" us"); at != std::string::npos) text.replace(at, 3, " \u00b5s");
  return text;
}

std::string colour(int model) { return "k" + std::to_string(model % 7); }

std::string mark(int model) {
  Svg svg(14, 14, "");
  svg.marker(model, 7, 7, 4.6, "dot " + colour(model));
  return svg.str();
}

// --- lines ------------------------------------------------------------------------------------------------------

namespace {

/// The smallest and largest of all points; nothing where there is none.
struct Range {
  double x_high = 0, low = INFINITY, high = -INFINITY;
};

Range range_of(const std::vector<Series>& series) {
  Range range;
  for (const Series& s : series)
    for (const auto& [x, y] : s.points) {
      range.x_high = std::max(range.x_high, x);
      range.low = std::min(range.low, y);
      range.high = std::max(range.high, y);
    }
  return range;
}

/// Shares end at 1, whatever round number lies beyond.
void end_at_one(Axis& axis) {
  axis.ticks.erase(std::remove_if(axis.ticks.begin(), axis.ticks.end(), [](double tick) { return tick > 1 + 1e-9; }), axis.ticks.end());
  axis.high = std::min(axis.high, 1 + (axis.high - axis.low) * 0.02);
}

Frame frame_of(const Range& range, const LineChart& chart) {
  Frame f{52,
          14,
          chart.width - 14,
          chart.height - 48,
          linear_axis(0, range.x_high, 4),
          linear_axis(chart.percent ? range.low : std::min(0.0, range.low), range.high, 5)};
  if (chart.percent) end_at_one(f.y);
  if (range.x_high > 0) {  // the last tick may lie beyond the data, the frame need not
    f.x.high = std::min(f.x.high, range.x_high * 1.02);
    while (f.x.ticks.back() > f.x.high) f.x.ticks.pop_back();
  }
  return f;
}

}  // namespace

std::string line_chart(const std::vector<Series>& all, const LineChart& chart) {
  std::vector<Series> series = all;
  for (Series& s : series) s.points = thinned(s.points);
  const Range range = range_of(series);
  if (!std::isfinite(range.low)) return "";
  const Frame f = frame_of(range, chart);
  Svg svg(chart.width, chart.height, chart.title);
  draw_frame(svg, f, texts(f.x), texts(f.y, chart.percent ? 100 : 1), chart.x_label);
  for (const Series& s : series) {
    std::vector<std::pair<double, double>> at;
    for (const auto& [x, y] : s.points) at.emplace_back(f.px(x), f.py(y));
    if (at.size() > 1) svg.polyline(at, (s.faint ? "faint " : "curve ") + colour(s.model));
  }
  for (const Series& s : series)
    for (std::size_t i = 0; i < s.points.size(); ++i) {
      if (s.points.size() > 40 && i + 1 < s.points.size()) continue;
      const auto& [x, y] = s.points[i];
      const std::string value = chart.percent ? fmt::format("{:.2f} %", 100 * y) : fmt::format("{:.4g}", y);
      svg.marker(s.model, f.px(x), f.py(y), s.faint ? 2.1 : 3.4, (s.faint ? "hollow " : "dot ") + colour(s.model),
                 fmt::format("{}, {} {}: {}", s.name, chart.x_label, coordinate(x), value));
    }
  return svg.str();
}

// --- scatter ----------------------------------------------------------------------------------------------------

namespace {

struct Box {
  double x, y, w, h;
  double overlap(const Box& o) const {
    return std::max(0.0, std::min(x + w, o.x + o.w) - std::max(x, o.x)) * std::max(0.0, std::min(y + h, o.y + o.h) - std::max(y, o.y));
  }
};

struct Bubble {
  int model;
  double x, y, r;
};

/// Where a label hides least: beside the bubble, over or under it.
void place_labels(Svg& svg, const std::vector<Bubble>& bubbles, const std::vector<Model>& models, const Frame& f) {
  std::vector<Box> taken;
  for (const Bubble& b : bubbles) taken.push_back({b.x - b.r, b.y - b.r, 2 * b.r, 2 * b.r});
  for (const Bubble& b : bubbles) {
    const Model& m = models[static_cast<std::size_t>(b.model)];
    const std::string name = shortened(m.name, 28);
    const double w = kLetter * static_cast<double>(characters(name)), h = 15;
    const auto outside = [&](const Box& p) {
      return std::max(0.0, f.left + 4 - p.x) + std::max(0.0, p.x + w - f.right - 6) + std::max(0.0, f.top - 8 - p.y) +
             std::max(0.0, p.y + h - f.bottom);
    };
    const Box places[] = {{b.x + b.r + 6, b.y - h / 2, w, h},         {b.x - b.r - 6 - w, b.y - h / 2, w, h},
                          {b.x - w / 2, b.y - b.r - h - 5, w, h},     {b.x - w / 2, b.y + b.r + 5, w, h},
                          {b.x + b.r * 0.8 + 4, b.y - b.r - h, w, h}, {b.x + b.r * 0.8 + 4, b.y + b.r * 0.6 + 4, w, h}};
    const Box* best = &places[0];
    double least = INFINITY;
    for (const Box& place : places) {
      double cost = 1e4 * outside(place);
      for (const Box& other : taken) cost += place.overlap(other);
      if (cost < least - 1e-9) least = cost, best = &place;
    }
    taken.push_back(*best);
    svg.text(best->x, best->y + 11.5, name, "name");
  }
}

std::string tell(const Model& m) {
  std::string line = fmt::format("{}: {:.2f} % ({}), {}", m.name, 100 * m.score->top1, m.score->split, bytes_text(m.tensor_bytes));
  if (m.latency) line += ", " + time_text(m.latency->p50);
  if (m.dominated) line += "; dominated: another one is no worse in anything and better in something";
  return line;
}

void draw_bubbles(Svg& svg, std::vector<Bubble> bubbles, const std::vector<Model>& models, const Frame& f) {
  for (const Bubble& b : bubbles) {
    const Score& score = *models[static_cast<std::size_t>(b.model)].score;
    if (std::isfinite(score.low)) svg.line(b.x, f.py(score.low), b.x, f.py(std::min(score.high, f.y.high)), "whisker");
  }
  std::stable_sort(bubbles.begin(), bubbles.end(), [](const Bubble& a, const Bubble& b) { return a.r > b.r; });  // small ones on top
  for (const Bubble& b : bubbles) {
    const Model& m = models[static_cast<std::size_t>(b.model)];
    svg.marker(0, b.x, b.y, b.r, (m.dominated ? "bubble dominated " : "bubble ") + colour(b.model), tell(m));
    svg.marker(b.model, b.x, b.y, 3.4, "dot " + colour(b.model));
  }
}

}  // namespace

std::string scatter(const std::vector<Model>& models, bool small) {
  std::vector<int> shown;
  bool timed = true;
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (!models[i].score || !(models[i].tensor_bytes > 0)) continue;
    shown.push_back(static_cast<int>(i));
    timed = timed && models[i].latency.has_value();
  }
  if (shown.size() < 2) return "";
  const auto x_of = [&](const Model& m) { return timed ? m.latency->p50 : m.tensor_bytes; };
  double x_low = INFINITY, x_high = 0, low = 1, high = 0, most = 0;
  for (const int i : shown) {
    const Model& m = models[static_cast<std::size_t>(i)];
    x_low = std::min(x_low, x_of(m));
    x_high = std::max(x_high, x_of(m));
    low = std::min({low, m.score->top1, std::isfinite(m.score->low) ? m.score->low : 1.0});
    high = std::max({high, m.score->top1, std::isfinite(m.score->high) ? m.score->high : 0.0});
    most = std::max(most, m.tensor_bytes);
  }
  const double width = small ? 360 : 1040, height = small ? 330 : 394;
  Frame f{56, 30, width - (small ? 10 : 30), height - 50, logarithmic_axis(x_low / 1.35, x_high * 1.5), linear_axis(low, high, 6)};
  end_at_one(f.y);
  std::vector<std::string> x_ticks;
  for (const double tick : f.x.ticks) x_ticks.push_back(timed ? time_text(tick) : bytes_text(tick));
  Svg svg(width, height, fmt::format("Accuracy against {} of {} models", timed ? "latency" : "size", shown.size()));
  const std::string label = timed
                                ? fmt::format("median latency, batch {} (left is faster)", models[static_cast<std::size_t>(shown[0])].latency->batch)
                                : "bytes of tensors (left is smaller)";
  draw_frame(svg, f, x_ticks, texts(f.y, 100, " %"), label);
  svg.text(8, 12, "top-1 accuracy", "label");
  std::vector<Bubble> bubbles;
  for (const int i : shown) {
    const Model& m = models[static_cast<std::size_t>(i)];
    bubbles.push_back({i, f.px(x_of(m)), f.py(m.score->top1), std::max(4.0, (small ? 18 : 26) * std::sqrt(m.tensor_bytes / most))});
  }
  draw_bubbles(svg, bubbles, models, f);
  place_labels(svg, bubbles, models, f);
  return svg.str();
}

std::string interval(const Score& score, const Axis& axis, int model) {
  Svg svg(132, 18, fmt::format("{:.2f} %", 100 * score.top1));
  const auto x = [&](double v) { return 6 + std::clamp(axis.at(v), 0.0, 1.0) * 120; };
  svg.line(6, 9, 126, 9, "grid");
  if (std::isfinite(score.low)) svg.line(x(score.low), 9, x(score.high), 9, "span " + colour(model));
  svg.marker(model, x(score.top1), 9, 4, "dot " + colour(model));
  return svg.str();
}

}  // namespace ds::report
