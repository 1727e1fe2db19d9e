#include "base/report/lineage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/report/charts.h"
#include "base/report/table.h"

namespace ds::report {

std::string shell_word(const std::string& word) {
  static const std::string safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(safe) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

namespace {

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

/// Adds a part to a line of parts.
void join(std::string& line, const std::string& part) {
  if (!part.empty()) line += (line.empty() ? "" : " \u00b7 ") + part;
}

/// Lanes so that no two lines lie on each other: a lane is taken from one row to another.
class Spans {
 public:
  int take(int from, int to, int wanted) {
    if (wanted >= 0 && open(wanted, from, to)) return add(wanted, from, to);
    for (int lane = 0;; ++lane)
      if (open(lane, from, to)) return add(lane, from, to);
  }
  int count() const { return static_cast<int>(taken_.size()); }

 private:
  bool open(int lane, int from, int to) const {
    if (lane >= count()) return true;
    const auto& spans = taken_[static_cast<std::size_t>(lane)];
    return std::none_of(spans.begin(), spans.end(), [&](const auto& s) { return from < s.second && s.first < to; });
  }
  int add(int lane, int from, int to) {
    if (lane >= count()) taken_.resize(static_cast<std::size_t>(lane) + 1);
    taken_[static_cast<std::size_t>(lane)].emplace_back(from, to);
    return lane;
  }
  std::vector<std::vector<std::pair<int, int>>> taken_;
};

}  // namespace

std::string change_text(const Step& step, const Step* parent) {
  std::vector<std::string> parts;
  for (const char* split : {"val", "test"}) {
    const std::string key = std::string(split) + "_top1";
    const double after = number_at(step.metrics, key.c_str()), before = number_at(step.metrics, ("before_" + key).c_str());
    if (!std::isfinite(after)) continue;
    parts.push_back(std::string(split) + " top-1 " + (std::isfinite(before) ? percent(before) + " \u2192 " : "") + percent(after));
  }
  const Json none;
  const Json& old = parent ? parent->metrics : none;
  const auto add = [&](const char* name, const char* key, std::string (*text)(double)) {
    const double after = number_at(step.metrics, key), before = number_at(old, key);
    if (std::isfinite(after))
      parts.push_back(std::string(name) + " " + (std::isfinite(before) && before != after ? text(before) + " \u2192 " : "") + text(after));
  };
  add("parameters", "parameters", count_text);
  add("tensors", "tensor_bytes", bytes_text);
  add("latency", "latency_b1_p50_s", time_text);
  std::string line;
  for (const std::string& part : parts) join(line, part);
  return line;
}

std::string circumstances(const Step& step) {
  std::string line;
  const auto add = [&](const std::string& part) { join(line, part); };
  if (const std::string seed = text_at(step.record, "seed"); !seed.empty()) add("seed " + seed);
  add(text_at(member_at(step.record, "data"), "name"));
  add(text_at(step.record, "isa"));
  if (const std::string device = text_at(step.record, "device"); device != "cpu") add(device);
  if (const std::string threads = text_at(step.record, "threads"); !threads.empty()) add(threads + (threads == "1" ? " thread" : " threads"));
  add(text_at(step.record, "time"));
  return line;
}

/// Spans in half rows: a node holds [2i, 2i+1], a line from node i to j what lies between.
Lanes lay_out(const std::vector<Step>& steps) {
  Spans spans;
  Lanes lanes;
  const int n = static_cast<int>(steps.size());
  const auto parents = [&](int i) -> const std::vector<int>& { return steps[static_cast<std::size_t>(i)].parents; };
  lanes.of.assign(steps.size(), -1);
  for (int i = 0; i < n; ++i) {
    int& own = lanes.of[static_cast<std::size_t>(i)];
    if (own < 0) own = spans.take(2 * i, 2 * i + 1, -1);
    for (int j = i + 1; j < n; ++j) {
      if (parents(j).empty() || parents(j)[0] != i) continue;
      const int taken = spans.take(2 * i + 1, 2 * j + 1, own);
      lanes.of[static_cast<std::size_t>(j)] = taken;
      lanes.edges.push_back({i, j, taken, true});
    }
  }
  for (int j = 0; j < n; ++j)
    for (std::size_t p = 1; p < parents(j).size(); ++p)
      lanes.edges.push_back({parents(j)[p], j, spans.take(2 * parents(j)[p] + 1, 2 * j, -1), false});
  lanes.count = spans.count();
  return lanes;
}

namespace {

constexpr double kDot = 22;  ///< where a step's mark is in its row

double spacing(const Lanes& lanes) { return std::min(20.0, 200.0 / std::max(1, lanes.count)); }

}  // namespace

double lanes_width(const Lanes& lanes) { return lane_x(lanes, lanes.count - 1) + 14; }

double lane_x(const Lanes& lanes, int lane) { return 8 + spacing(lanes) * lane; }

std::string lanes_picture(const Lanes& lanes, int step, const std::string& mark, int shape) {
  Svg svg(lanes_width(lanes), kLaneRow, "");
  const double own = lane_x(lanes, lanes.of[static_cast<std::size_t>(step)]);
  const auto c = [](double v) { return coordinate(v); };
  for (const Edge& e : lanes.edges) {
    const double x = lane_x(lanes, e.lane);
    const char* classes = e.first ? "edge" : "edge other";
    if (e.from < step && step < e.to) svg.path(fmt::format("M{} 0V{}", c(x), c(kLaneRow)), classes);
    if (e.to == step) svg.path(fmt::format("M{0} 0C{0} {1} {2} {1} {2} {3}", c(x), c(kDot / 2), c(own), c(kDot)), classes);
    if (e.from == step)
      svg.path(fmt::format("M{0} {1}C{0} {2} {3} {2} {3} {4}", c(own), c(kDot), c((kDot + kLaneRow) / 2), c(x), c(kLaneRow)), classes);
  }
  svg.line(own, kDot, lanes_width(lanes), kDot, "grid");
  svg.marker(shape, own, kDot, 5.5, mark);
  return svg.str();
}

}  // namespace ds::report
