// Provenance as boxes: one row a step, lines from parents to children in lanes at the left, as histories of versions are drawn.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/report/charts.h"
#include "base/report/table.h"

namespace ds::report {

std::string command_line(const std::vector<std::string>& argv) {
  static const std::string safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  std::string line;
  for (const std::string& word : argv) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(safe) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t count = 0, space = std::string::npos;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t n = 1;
    while (i + n < text.size() && (static_cast<unsigned char>(text[i + n]) & 0xC0) == 0x80) ++n;
    if (count == width) {
      std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
      if (text[i] == ' ' && !rest.empty()) rest.clear(), space = std::string::npos;
      else if (space != std::string::npos) line.resize(space);
      lines.push_back(line);
      line = rest;
      count = characters(rest);
      space = std::string::npos;
      if (text[i] == ' ' && line.empty()) {
        ++i;
        continue;
      }
    }
    if (text[i] == ' ') space = line.size();
    line += text.substr(i, n);
    ++count;
    i += n;
  }
  if (!line.empty() || lines.empty()) lines.push_back(line);
  return lines;
}

namespace {

constexpr double kWidth = 1040, kLane = 20, kRow = 18, kGap = 14;
constexpr std::size_t kMostLines = 5;  ///< of a command

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

/// "val top-1 98.10 % -> 97.90 %, tensors 413 kB -> 105 kB": what the step says of before and after.
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
    if (std::isfinite(after)) parts.push_back(std::string(name) + " " + (std::isfinite(before) && before != after ? text(before) + " \u2192 " : "") + text(after));
  };
  add("parameters", "parameters", count_text);
  add("tensors", "tensor_bytes", bytes_text);
  add("latency", "latency_b1_p50_s", seconds_text);
  std::string line;
  for (const std::string& part : parts) line += (line.empty() ? "" : "  \u00b7  ") + part;
  return line;
}

std::string facts_text(const Step& step) {
  std::string line;
  const auto add = [&](const std::string& part) { line += part.empty() ? "" : (line.empty() ? "" : "  \u00b7  ") + part; };
  if (const std::string seed = text_at(step.record, "seed"); !seed.empty()) add("seed " + seed);
  add(text_at(member_at(step.record, "data"), "name"));
  add(text_at(step.record, "isa"));
  if (const std::string device = text_at(step.record, "device"); device != "cpu") add(device);
  if (const std::string threads = text_at(step.record, "threads"); !threads.empty()) add(threads + (threads == "1" ? " thread" : " threads"));
  add(text_at(step.record, "time"));
  return line;
}

struct Row {
  int lane = 0;
  double top = 0, height = 0;
  std::vector<std::string> command;
  std::string change, facts;
};

struct Edge {
  int from, to, lane;
  bool first;  ///< to what was changed; else a teacher or the like
};

/// Lanes so that no two lines lie on each other: a lane is taken from one row to another.
class Lanes {
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

/// Spans in half rows: a node holds [2i, 2i+1], a line from node i to j what lies between.
int lay_out(const std::vector<Step>& steps, std::vector<Row>& rows, std::vector<Edge>& edges) {
  Lanes lanes;
  const int n = static_cast<int>(steps.size());
  std::vector<int> lane(steps.size(), -1);
  for (int i = 0; i < n; ++i) {
    if (lane[static_cast<std::size_t>(i)] < 0) lane[static_cast<std::size_t>(i)] = lanes.take(2 * i, 2 * i + 1, -1);
    rows[static_cast<std::size_t>(i)].lane = lane[static_cast<std::size_t>(i)];
    for (int j = i + 1; j < n; ++j) {
      const std::vector<int>& parents = steps[static_cast<std::size_t>(j)].parents;
      if (parents.empty() || parents[0] != i) continue;
      const int taken = lanes.take(2 * i + 1, 2 * j + 1, lane[static_cast<std::size_t>(i)]);
      lane[static_cast<std::size_t>(j)] = taken;
      edges.push_back({i, j, taken, true});
    }
  }
  for (int j = 0; j < n; ++j)
    for (std::size_t p = 1; p < steps[static_cast<std::size_t>(j)].parents.size(); ++p) {
      const int i = steps[static_cast<std::size_t>(j)].parents[p];
      edges.push_back({i, j, lanes.take(2 * i + 1, 2 * j, -1), false});
    }
  return lanes.count();
}

void draw_box(Svg& svg, const Facts& facts, const Step& step, const Row& row, double left) {
  svg.rectangle(left, row.top, kWidth - left - 1, row.height, "box", "", 8);
  double y = row.top + 24;
  const double x = left + 16;
  svg.text(x, y, step.tool, "tool");
  double at = x + 8.4 * static_cast<double>(characters(step.tool)) + 10;
  if (!step.version.empty()) {
    svg.text(at, y, step.version, "tick");
    at += 6.6 * static_cast<double>(characters(step.version)) + 14;
  }
  const std::string digest = step.digest.empty() ? "digest not known" : step.digest.substr(0, 12);
  svg.text(at, y, digest, "mono muted");
  if (step.model >= 0) {
    const std::string name = shortened(facts.models[static_cast<std::size_t>(step.model)].name, 32);
    const double w = 7.4 * static_cast<double>(characters(name)) + 20;
    svg.rectangle(kWidth - 17 - w, row.top + 9, w, 22, "pill " + colour(step.model), "", 11);
    svg.text(kWidth - 17 - w / 2, row.top + 24, name, "name", "middle");
  }
  y += 4;
  for (const std::string& line : row.command) svg.text(x, y += kRow, line, "mono");
  if (!row.change.empty()) svg.text(x, y += kRow + 2, row.change, "name");
  if (!row.facts.empty()) svg.text(x, y += kRow, row.facts, "tick");
  for (const std::string& digest : step.unknown) svg.text(x, y += kRow, "also from " + digest.substr(0, 12) + ", which no file here tells about", "tick");
}

}  // namespace

std::string provenance_chart(const Facts& facts) {
  if (facts.steps.empty()) return "";
  std::vector<Row> rows(facts.steps.size());
  std::vector<Edge> edges;
  const int lanes = lay_out(facts.steps, rows, edges);
  const double left = 14 + kLane * lanes;
  const std::size_t characters_a_line = static_cast<std::size_t>((kWidth - left - 40) / 7.3);
  double height = 1;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Step& step = facts.steps[i];
    Row& row = rows[i];
    row.command = wrapped(command_line(step.argv), characters_a_line);
    if (row.command.size() > kMostLines) row.command.resize(kMostLines), row.command.back() = shortened(row.command.back() + " \u2026", characters_a_line);
    row.change = change_text(step, step.parents.empty() ? nullptr : &facts.steps[static_cast<std::size_t>(step.parents[0])]);
    row.facts = facts_text(step);
    row.top = height;
    row.height = 42 + kRow * static_cast<double>(row.command.size() + step.unknown.size()) + (row.change.empty() ? 0 : kRow + 2) + (row.facts.empty() ? 0 : kRow);
    height += row.height + kGap;
  }
  Svg svg(kWidth, height - kGap + 2, fmt::format("Provenance: {} steps, parents before children", rows.size()));
  const auto dot_y = [&](int i) { return rows[static_cast<std::size_t>(i)].top + 20; };
  const auto dot_x = [&](int lane) { return 10 + kLane * lane; };
  for (const Edge& e : edges) {
    const double x1 = dot_x(rows[static_cast<std::size_t>(e.from)].lane), x2 = dot_x(e.lane), x3 = dot_x(rows[static_cast<std::size_t>(e.to)].lane);
    const double y1 = dot_y(e.from), y2 = dot_y(e.to);
    std::string d = fmt::format("M{} {}", coordinate(x1), coordinate(y1));
    if (x2 != x1) d += fmt::format("C{} {} {} {} {} {}", coordinate(x1), coordinate(y1 + 22), coordinate(x2), coordinate(y1 + 12), coordinate(x2), coordinate(y1 + 34));
    if (x3 != x2) d += fmt::format("L{} {}C{} {} {} {} {} {}", coordinate(x2), coordinate(y2 - 34), coordinate(x2), coordinate(y2 - 12), coordinate(x3), coordinate(y2 - 22), coordinate(x3), coordinate(y2));
    else d += fmt::format("L{} {}", coordinate(x3), coordinate(y2));
    svg.path(d, e.first ? "edge" : "edge other");
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int model = facts.steps[i].model;
    svg.line(dot_x(rows[i].lane), dot_y(static_cast<int>(i)), left, dot_y(static_cast<int>(i)), "grid");
    svg.marker(model >= 0 ? model : 0, dot_x(rows[i].lane), dot_y(static_cast<int>(i)), 5.5, model >= 0 ? "dot " + colour(model) : "dot grey");
    draw_box(svg, facts, facts.steps[i], rows[i], left);
  }
  return svg.str();
}

}  // namespace ds::report
