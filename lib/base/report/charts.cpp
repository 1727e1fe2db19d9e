#include "base/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/report/table.h"

namespace ds::report {

namespace {

struct Frame {
  double left, top, right, bottom;
  Axis x, y;
  double px(double v) const { return left + x.at(v) * (right - left); }
  double py(double v) const { return bottom - y.at(v) * (bottom - top); }
};

double step_of(const Axis& axis) { return axis.ticks.size() > 1 ? axis.ticks[1] - axis.ticks[0] : 1; }

/// Grid, ticks and the label of x.
void draw_frame(Svg& svg, const Frame& f, const std::vector<std::string>& x_ticks, const std::vector<std::string>& y_ticks, const std::string& x_label) {
  for (std::size_t i = 0; i < f.y.ticks.size(); ++i) {
    const double y = f.py(f.y.ticks[i]);
    svg.line(f.left, y, f.right, y, i == 0 ? "axis" : "grid");
    svg.text(f.left - 8, y + 4, y_ticks[i], "tick", "end");
  }
  for (std::size_t i = 0; i < f.x.ticks.size(); ++i) {
    const double x = f.px(f.x.ticks[i]);
    svg.line(x, f.bottom, x, f.bottom + 4, "axis");
    svg.text(x, f.bottom + 18, x_ticks[i], "tick", "middle");
  }
  svg.text((f.left + f.right) / 2, f.bottom + 36, x_label, "label", "middle");
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

std::string label_of(const std::vector<std::string>& labels, std::size_t i) { return i < labels.size() ? labels[i] : std::to_string(i); }

}  // namespace

std::string colour(int model) { return "k" + std::to_string(model % 7); }

std::string mark(int model, const std::string& title) {
  Svg svg(14, 14, title);
  svg.marker(model, 7, 7, 4.6, "dot " + colour(model));
  return svg.str();
}

// --- lines ------------------------------------------------------------------------------------------------------

std::string line_chart(const std::vector<Series>& all, const LineChart& chart) {
  double x_high = 0, x_low = INFINITY, low = INFINITY, high = -INFINITY;
  std::vector<Series> series = all;
  for (Series& s : series) {
    s.points = thinned(s.points);
    for (const auto& [x, y] : s.points) {
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (!std::isfinite(low)) return "";
  Frame f{46, 14, chart.width - 14, chart.height - 46, linear_axis(0, x_high, 6), linear_axis(chart.percent ? low : std::min(0.0, low), high, 5)};
  if (chart.percent && f.y.high > 1) f.y.high = 1, f.y.ticks.erase(std::remove_if(f.y.ticks.begin(), f.y.ticks.end(), [](double t) { return t > 1 + 1e-9; }), f.y.ticks.end());
  if (f.x.high > x_high * 1.02) {  // the last tick may lie beyond the data, the frame need not
    f.x.high = x_high * 1.02;
    while (f.x.ticks.back() > f.x.high) f.x.ticks.pop_back();
  }
  Svg svg(chart.width, chart.height, chart.title);
  draw_frame(svg, f, texts(f.x), texts(f.y, chart.percent ? 100 : 1), chart.x_label);
  for (const Series& s : series) {
    std::vector<std::pair<double, double>> at;
    for (const auto& [x, y] : s.points) at.emplace_back(f.px(x), f.py(y));
    if (at.size() > 1) svg.polyline(at, (s.faint ? "faint " : "curve ") + colour(s.model));
  }
  for (const Series& s : series)
    for (std::size_t i = 0; i < s.points.size(); ++i) {
      if (!chart.markers || (s.points.size() > 40 && i + 1 < s.points.size())) continue;
      const auto& [x, y] = s.points[i];
      const std::string value = chart.percent ? fmt::format("{:.2f} %", 100 * y) : fmt::format("{:.4g}", y);
      svg.marker(s.model, f.px(x), f.py(y), s.faint ? 2.1 : 3.4, (s.faint ? "hollow " : "dot ") + colour(s.model), fmt::format("{}, {} {}: {}", s.name, chart.x_label, coordinate(x), value));
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
    const double w = 7.2 * static_cast<double>(characters(name)), h = 15;
    const double inside = f.left + 4, outside = f.right + 6;
    const Box places[] = {{b.x + b.r + 6, b.y - h / 2, w, h}, {b.x - b.r - 6 - w, b.y - h / 2, w, h}, {b.x - w / 2, b.y - b.r - h - 5, w, h}, {b.x - w / 2, b.y + b.r + 5, w, h},
                          {b.x + b.r * 0.8 + 4, b.y - b.r - h, w, h}, {b.x + b.r * 0.8 + 4, b.y + b.r * 0.6 + 4, w, h}};
    const Box* best = &places[0];
    double least = INFINITY;
    for (const Box& place : places) {
      double cost = 0;
      for (const Box& other : taken) cost += place.overlap(other);
      cost += 1e4 * (std::max(0.0, inside - place.x) + std::max(0.0, place.x + w - outside) + std::max(0.0, f.top - 8 - place.y) + std::max(0.0, place.y + h - f.bottom));
      if (cost < least - 1e-9) least = cost, best = &place;
    }
    taken.push_back(*best);
    svg.text(best->x, best->y + 11.5, name, m.dominated ? "name muted" : "name");
  }
}

}  // namespace

std::string scatter(const std::vector<Model>& models) {
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
  Frame f{56, 22, 1010, 336, logarithmic_axis(x_low / 1.35, x_high * 1.5), linear_axis(low, high, 6)};
  f.y.ticks.erase(std::remove_if(f.y.ticks.begin(), f.y.ticks.end(), [](double t) { return t > 1 + 1e-9; }), f.y.ticks.end());
  f.y.high = std::min(f.y.high, 1 + (f.y.high - f.y.low) * 0.02);
  std::vector<std::string> x_ticks;
  for (const double tick : f.x.ticks) x_ticks.push_back(timed ? seconds_text(tick) : bytes_text(tick));
  Svg svg(1040, 386, fmt::format("Accuracy against {} of {} models", timed ? "latency" : "size", shown.size()));
  draw_frame(svg, f, x_ticks, texts(f.y, 100, " %"), timed ? fmt::format("median latency, batch {} (left is faster)", models[static_cast<std::size_t>(shown[0])].latency->batch) : "bytes of tensors (left is smaller)");
  std::vector<Bubble> bubbles;
  for (const int i : shown) {
    const Model& m = models[static_cast<std::size_t>(i)];
    bubbles.push_back({i, f.px(x_of(m)), f.py(m.score->top1), std::max(4.0, 26 * std::sqrt(m.tensor_bytes / most))});
    if (std::isfinite(m.score->low)) {
      const double x = bubbles.back().x;
      svg.line(x, f.py(m.score->low), x, f.py(std::min(m.score->high, f.y.high)), "whisker");
    }
  }
  std::vector<Bubble> large_first = bubbles;
  std::stable_sort(large_first.begin(), large_first.end(), [](const Bubble& a, const Bubble& b) { return a.r > b.r; });
  for (const Bubble& b : large_first) {
    const Model& m = models[static_cast<std::size_t>(b.model)];
    std::string title = fmt::format("{}: {:.2f} % ({}), {}", m.name, 100 * m.score->top1, m.score->split, bytes_text(m.tensor_bytes));
    if (m.latency) title += ", " + seconds_text(m.latency->p50);
    if (m.dominated) title += "; dominated: another one is no worse in anything and better in something";
    svg.marker(0, b.x, b.y, b.r, m.dominated ? "bubble grey" : "bubble " + colour(b.model), title);
    svg.marker(b.model, b.x, b.y, 3.4, m.dominated ? "dot grey" : "dot " + colour(b.model));
  }
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

// --- classes ----------------------------------------------------------------------------------------------------

namespace {

std::int64_t sum(const std::vector<std::int64_t>& row) { return std::accumulate(row.begin(), row.end(), std::int64_t{0}); }

/// The most that one mistake was made: what the colours of mistakes are relative to.
std::int64_t worst_mistake(const Confusion& c) {
  std::int64_t most = 1;
  for (std::size_t i = 0; i < c.counts.size(); ++i)
    for (std::size_t j = 0; j < c.counts.size(); ++j)
      if (i != j) most = std::max(most, c.counts[i][j]);
  return most;
}

double shade(const Confusion& c, std::size_t label, std::size_t prediction, std::int64_t worst) {
  const double n = static_cast<double>(c.counts[label][prediction]);
  if (label == prediction) return 0.2 + 0.7 * n / static_cast<double>(std::max<std::int64_t>(1, sum(c.counts[label])));
  return 0.25 + 0.65 * n / static_cast<double>(std::max<std::int64_t>(3, worst));
}

/// A bar with the share of a class that was recognised.
void draw_bar(Svg& svg, double x, double y, double width, double height, std::int64_t right, std::int64_t all, const std::string& label) {
  const double share = all > 0 ? static_cast<double>(right) / static_cast<double>(all) : 0;
  const std::string title = fmt::format("{}: {} of {} right", label, right, all);
  svg.rectangle(x, y, width, height, "rail", "", 2);
  svg.rectangle(x, y, width * share, height, "bar", title, 2);
  svg.text(x + width + 6, y + height / 2 + 4, all > 0 ? fmt::format("{:.1f}", 100 * share) : "-", "tick");
}

/// Cells of many classes as one path a shade: a point a cell.
std::string map_chart(const Confusion& c, const std::vector<std::string>& labels, const std::string& name) {
  const std::size_t n = c.counts.size();
  const double side = 400, cell = side / static_cast<double>(n);
  const std::int64_t worst = worst_mistake(c);
  Svg svg(side + 60, side + 40, fmt::format("Confusion of {} classes: {}", n, name));
  svg.rectangle(40, 8, side, side, "rail");
  std::map<std::pair<bool, int>, std::string> paths;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      if (c.counts[i][j] > 0)
        paths[{i == j, static_cast<int>(std::lround(4 * shade(c, i, j, worst)))}] +=
            fmt::format("M{} {}h{s}v{s}h-{s}z", coordinate(40 + cell * static_cast<double>(j)), coordinate(8 + cell * static_cast<double>(i)), fmt::arg("s", coordinate(cell)));
  for (const auto& [key, d] : paths) svg.path(d, key.first ? "right" : "wrong", "", std::min(1.0, 0.25 * std::max(1, key.second)));
  svg.text(40 + side / 2, side + 30, "prediction", "label", "middle");
  svg.text(24, 8 + side / 2, "label", "label", "middle", -90);
  (void)labels;
  return svg.str();
}

}  // namespace

std::string confusion_chart(const Confusion& c, const std::vector<std::string>& labels, const std::string& name) {
  const std::size_t n = c.counts.size();
  if (n > 30) return map_chart(c, labels, name);
  std::size_t longest = 1;
  for (std::size_t i = 0; i < n; ++i) longest = std::max(longest, std::min<std::size_t>(14, characters(label_of(labels, i))));
  const double cell = n <= 10 ? 27 : std::max(13.0, 300.0 / static_cast<double>(n)), side = cell * static_cast<double>(n);
  const double text = 7.2 * static_cast<double>(longest), left = 34 + text;
  const bool turned = text > cell - 4;
  const double top = 24 + (turned ? text : 14);
  Svg svg(left + side + 190, top + side + 12, fmt::format("Confusion matrix and accuracy of each class: {}", name));
  svg.text(left + side / 2, 14, "prediction", "label", "middle");
  svg.text(12, top + side / 2, "label", "label", "middle", -90);
  svg.text(left + side + 22, 14, "right, %", "label");
  const std::int64_t worst = worst_mistake(c);
  for (std::size_t i = 0; i < n; ++i) {
    const std::string label = label_of(labels, i);
    const double y = top + cell * static_cast<double>(i), middle = left + cell * (static_cast<double>(i) + 0.5);
    svg.text(left - 8, y + cell / 2 + 4, shortened(label, 14), "tick", "end");
    if (turned) svg.text(middle + 4, top - 6, shortened(label, 14), "tick", "start", -90);
    else svg.text(middle, top - 6, label, "tick", "middle");
    for (std::size_t j = 0; j < n; ++j) {
      const std::int64_t count = c.counts[i][j];
      const double x = left + cell * static_cast<double>(j), dark = shade(c, i, j, worst);
      if (count == 0) {
        svg.rectangle(x + 0.5, y + 0.5, cell - 1, cell - 1, "rail", "", 2);
        continue;
      }
      svg.rectangle(x + 0.5, y + 0.5, cell - 1, cell - 1, i == j ? "right" : "wrong", fmt::format("{} taken for {}: {}", label, label_of(labels, j), count), 2, dark);
      if (cell >= 18) svg.text(x + cell / 2, y + cell / 2 + 4, std::to_string(count), dark > 0.55 ? "count over" : "count", "middle");
    }
    draw_bar(svg, left + side + 22, y + cell * 0.22, 110, cell * 0.56, c.counts[i][i], sum(c.counts[i]), label);
  }
  return svg.str();
}

std::string class_bars(const Confusion& c, const std::vector<std::string>& labels, const std::string& name, std::size_t most) {
  std::vector<std::size_t> order(c.counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto share = [&](std::size_t i) { return sum(c.counts[i]) > 0 ? static_cast<double>(c.counts[i][i]) / static_cast<double>(sum(c.counts[i])) : 2; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return share(a) < share(b); });
  order.resize(std::min(order.size(), most));
  Svg svg(420, 24 + 20 * static_cast<double>(order.size()), fmt::format("The {} classes that do worst: {}", order.size(), name));
  svg.text(170, 12, "right, %", "label");
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double y = 22 + 20 * static_cast<double>(k);
    svg.text(160, y + 11, shortened(label_of(labels, order[k]), 22), "tick", "end");
    draw_bar(svg, 170, y, 200, 13, c.counts[order[k]][order[k]], sum(c.counts[order[k]]), label_of(labels, order[k]));
  }
  return svg.str();
}

}  // namespace ds::report
