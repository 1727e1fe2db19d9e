// How a model does on each class.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/report/charts.h"

namespace ds::report {

namespace {

constexpr std::size_t kMostCells = 30;  ///< classes of a matrix with counts
constexpr std::size_t kMostLabel = 14;  ///< characters
constexpr double kDigit = 7.2;          ///< about as wide as a character is

std::string label_of(const std::vector<std::string>& labels, std::size_t i) { return i < labels.size() ? labels[i] : std::to_string(i); }

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
std::string map_chart(const Confusion& c, const std::string& name) {
  const std::size_t n = c.counts.size();
  const double side = 400, cell = side / static_cast<double>(n), left = 24, top = 24;
  const std::int64_t worst = worst_mistake(c);
  Svg svg(left + side, top + side, fmt::format("Confusion of {} classes: {}", n, name));
  svg.text(left + side / 2, 14, "prediction", "label", "middle");
  svg.text(14, top + side / 2, "label", "label", "middle", -90);
  svg.rectangle(left, top, side, side, "rail");
  std::map<std::pair<bool, int>, std::string> paths;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      if (c.counts[i][j] > 0)
        paths[{i == j, static_cast<int>(std::lround(4 * shade(c, i, j, worst)))}] +=
            fmt::format("M{} {}h{s}v{s}h-{s}z", coordinate(left + cell * static_cast<double>(j)), coordinate(top + cell * static_cast<double>(i)),
                        fmt::arg("s", coordinate(cell)));
  for (const auto& [key, d] : paths) svg.path(d, key.first ? "right" : "wrong", "", std::min(1.0, 0.25 * std::max(1, key.second)));
  return svg.str();
}

/// Where the cells of a matrix with counts lie: the bars beside it are in line with its rows.
struct Grid {
  double cell, text, top;
  bool turned;  ///< the labels of columns
};

Grid grid_of(std::size_t n, const std::vector<std::string>& labels) {
  std::size_t longest = 1;
  for (std::size_t i = 0; i < n; ++i) longest = std::max(longest, std::min(kMostLabel, characters(label_of(labels, i))));
  Grid g{n <= 10 ? 27 : std::max(13.0, 300.0 / static_cast<double>(n)), kDigit * static_cast<double>(longest), 0, false};
  g.turned = g.text > g.cell - 4;
  g.top = 24 + (g.turned ? g.text : 14);
  return g;
}

}  // namespace

std::string confusion_chart(const Confusion& c, const std::vector<std::string>& labels, const std::string& name) {
  const std::size_t n = c.counts.size();
  if (n > kMostCells) return map_chart(c, name);
  const Grid g = grid_of(n, labels);
  const double side = g.cell * static_cast<double>(n), left = 34 + g.text;
  Svg svg(left + side + 2, g.top + side + 2, fmt::format("Confusion matrix: {}", name));
  svg.text(left + side / 2, 14, "prediction", "label", "middle");
  svg.text(14, g.top + side / 2, "label", "label", "middle", -90);
  const std::int64_t worst = worst_mistake(c);
  for (std::size_t i = 0; i < n; ++i) {
    const std::string label = label_of(labels, i);
    const double y = g.top + g.cell * static_cast<double>(i), middle = left + g.cell * (static_cast<double>(i) + 0.5);
    svg.text(left - 8, y + g.cell / 2 + 4, shortened(label, kMostLabel), "tick", "end");
    if (g.turned)
      svg.text(middle + 4, g.top - 6, shortened(label, kMostLabel), "tick", "start", -90);
    else
      svg.text(middle, g.top - 6, label, "tick", "middle");
    for (std::size_t j = 0; j < n; ++j) {
      const std::int64_t count = c.counts[i][j];
      const double x = left + g.cell * static_cast<double>(j), dark = shade(c, i, j, worst);
      if (count == 0) {
        svg.rectangle(x + 0.5, y + 0.5, g.cell - 1, g.cell - 1, "rail", "", 2);
        continue;
      }
      svg.rectangle(x + 0.5, y + 0.5, g.cell - 1, g.cell - 1, i == j ? "right" : "wrong",
                    fmt::format("{} taken for {}: {}", label, label_of(labels, j), count), 2, dark);
      if (g.cell >= 18) svg.text(x + g.cell / 2, y + g.cell / 2 + 4, std::to_string(count), dark > 0.55 ? "count over" : "count", "middle");
    }
  }
  return svg.str();
}

std::string class_bars(const Confusion& c, const std::vector<std::string>& labels, const std::string& name, std::size_t most) {
  const std::size_t n = c.counts.size();
  const bool beside = n <= kMostCells;
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto share = [&](std::size_t i) {
    return sum(c.counts[i]) > 0 ? static_cast<double>(c.counts[i][i]) / static_cast<double>(sum(c.counts[i])) : 2;
  };
  if (!beside) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return share(a) < share(b); });
    order.resize(std::min(n, most));
  }
  const Grid g = beside ? grid_of(n, labels) : Grid{20, kDigit * kMostLabel, 24, false};
  const double left = g.text + 10, width = 120;
  Svg svg(left + width + 46, g.top + g.cell * static_cast<double>(order.size()) + 2,
          beside ? fmt::format("Accuracy of each class: {}", name) : fmt::format("The {} classes that do worst: {}", order.size(), name));
  svg.text(left, 14, beside ? "right, %" : "right, %, worst first", "label");
  for (std::size_t k = 0; k < order.size(); ++k) {
    const std::string label = label_of(labels, order[k]);
    const double y = g.top + g.cell * static_cast<double>(k);
    svg.text(left - 8, y + g.cell / 2 + 4, shortened(label, kMostLabel), "tick", "end");
    draw_bar(svg, left, y + g.cell * 0.22, width, g.cell * 0.56, c.counts[order[k]][order[k]], sum(c.counts[order[k]]), label);
  }
  return svg.str();
}

}  // namespace ds::report
