#include "base/report/table.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace ds::report {

namespace {

/// Characters as a terminal shows them: UTF-8 continuation bytes take no place.
std::size_t width(const std::string& text) {
  std::size_t n = 0;
  for (const unsigned char c : text) n += (c & 0xC0) != 0x80;
  return n;
}

/// A cell for a line: breaks in it, as a file's name may have, would end the line.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return text;
}

std::string pad(const std::string& text, std::size_t to, bool right) {
  const std::string space(to > width(text) ? to - width(text) : 0, ' ');
  return right ? space + text : text + space;
}

std::string scaled(double value, double step, const std::array<const char*, 5>& units) {
  std::size_t unit = 0;
  while (std::fabs(value) >= step * 0.9995 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const double size = std::fabs(value);  // 9.996 has one decimal, since it is shown as 10.0
  const int digits = unit == 0 && value == std::floor(value) ? 0 : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

/// A bar would end the cell.
std::string escaped(const std::string& cell) {
  std::string text;
  for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
  return text;
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\n\r") == std::string::npos) return cell;
  std::string text = "\"";
  for (const char c : cell) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

}  // namespace

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::size_t w = width(columns[c].title);
    for (const auto& row : rows) w = std::max(w, width(row[c]));
    widths.push_back(w);
  }
  const auto line = [&](const auto& cell) {
    std::string out;
    for (std::size_t c = 0; c < columns.size(); ++c) out += (c ? "  " : "") + pad(cell(c), widths[c], columns[c].right);
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out + "\n";
  };
  std::string out = line([&](std::size_t c) { return columns[c].title; });
  out += line([&](std::size_t c) { return std::string(widths[c], '-'); });
  for (const auto& row : rows) out += line([&](std::size_t c) { return one_line(row[c]); });
  return out;
}

std::string Table::markdown() const {
  std::string out = "|", rule = "|";
  for (const Column& c : columns) {
    out += " " + escaped(one_line(c.title)) + " |";
    rule += c.right ? " ---: |" : " --- |";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : rows) {
    out += "|";
    for (const std::string& cell : row) out += " " + escaped(one_line(cell)) + " |";
    out += "\n";
  }
  return out;
}

std::string Table::csv() const {
  std::string out;
  const auto line = [&](const auto& cell) {
    for (std::size_t c = 0; c < columns.size(); ++c) out += (c ? "," : "") + quoted(cell(c));
    out += "\n";
  };
  line([&](std::size_t c) { return columns[c].title; });
  for (const auto& row : rows) line([&](std::size_t c) { return row[c]; });
  return out;
}

std::string csv(const std::vector<std::string>& keys, const nlohmann::json& rows) {
  Table table;
  for (const std::string& key : keys) table.columns.push_back({key});
  for (const auto& row : rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (const std::string& key : keys) {
      const auto value = row.find(key);
      cells.push_back(value == row.end() || value->is_null() ? "" : value->is_string() ? value->get<std::string>() : value->dump());
    }
  }
  return table.csv();
}

std::string bytes_text(double bytes) { return scaled(bytes, 1000, {" B", " kB", " MB", " GB", " TB"}); }

std::string count_text(double count) { return scaled(count, 1000, {"", " k", " M", " G", " T"}); }

std::string seconds_text(double seconds) {
  if (seconds >= 0.9995) return fmt::format("{:.2f} s", seconds);
  return scaled(seconds * 1e6, 1000, {" us", " ms", " s", " ks", " Ms"});
}

}  // namespace ds::report
