#include "base/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ds::report {

namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Bytes of the well-formed UTF-8 character at the start of `text`, 0 where there is none.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  const std::size_t n = first < 0x80                    ? 1
                        : first >= 0xC2 && first < 0xE0 ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
  if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
  return n;
}

bool forbidden(std::string_view c) {
  const unsigned char first = static_cast<unsigned char>(c[0]);
  if (c.size() == 1) return (first < 0x20 && first != '\t' && first != '\n' && first != '\r') || first == 0x7F;
  return c == "\xEF\xBF\xBE" || c == "\xEF\xBF\xBF";
}

const char* entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return nullptr;
  }
}

}  // namespace

std::string clean(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = character(text);
    const std::string_view c = text.substr(0, std::max<std::size_t>(n, 1));
    if (n == 0 || forbidden(c))
      out += kReplacement;
    else
      out += c;
    text.remove_prefix(c.size());
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : clean(text))
    if (const char* name = entity(c))
      out += name;
    else
      out += c;
  return out;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string shortened(const std::string& text, std::size_t most) {
  if (characters(text) <= most) return text;
  std::size_t count = 0, at = 0;
  while (at < text.size()) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && count++ == most - 1) break;
    ++at;
  }
  return text.substr(0, at) + "\u2026";
}

std::string coordinate(double value, int digits) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.{}f}", value, digits);
  if (text.find('.') != std::string::npos) {
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

// --- axes -------------------------------------------------------------------------------------------------------

double Axis::at(double value) const {
  if (logarithmic) return value > 0 ? std::log(value / low) / std::log(high / low) : 0;
  return (value - low) / (high - low);
}

Axis linear_axis(double low, double high, int wanted) {
  if (!std::isfinite(low)) low = 0;
  if (!std::isfinite(high)) high = low;
  if (low > high) std::swap(low, high);
  if (high - low < 1e-12 * std::max(1.0, std::abs(low))) {
    const double half = low == 0 ? 1 : std::abs(low) * 0.05;
    low -= half;
    high += half;
  }
  const double raw = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  Axis axis;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) axis.ticks.push_back(i * step);
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  return axis;
}

Axis logarithmic_axis(double low, double high) {
  Axis axis;
  axis.logarithmic = true;
  axis.low = low;
  axis.high = std::max(high, low * 1.01);
  const bool sparse = axis.high / axis.low > 1000;
  for (double power = std::pow(10, std::floor(std::log10(low))); power <= axis.high; power *= 10)
    for (const double factor : {1.0, 2.0, 5.0})
      if (const double tick = power * factor; (factor == 1 || !sparse) && tick >= axis.low * (1 - 1e-9) && tick <= axis.high * (1 + 1e-9))
        axis.ticks.push_back(tick);
  if (axis.ticks.size() > 1) return axis;
  axis.ticks.clear();
  for (const double tick : linear_axis(axis.low, axis.high, 4).ticks)
    if (tick >= axis.low && tick <= axis.high) axis.ticks.push_back(tick);
  return axis;
}

std::string tick_text(double value, double step) {
  if (value == 0) return "0";
  if (std::abs(step) >= 1e6) return coordinate(value / 1e6, 1) + " M";
  if (std::abs(step) >= 1e4) return coordinate(value / 1e3, 1) + " k";
  const int digits = step >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step) - 1e-9));
  return fmt::format("{:.{}f}", std::abs(value) < step * 1e-6 ? 0.0 : value, std::min(digits, 12));
}

// --- elements ---------------------------------------------------------------------------------------------------

Svg::Svg(double width, double height, const std::string& title) {
  head_ =
      fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}")", coordinate(width), coordinate(height));
  head_ += title.empty() ? R"( aria-hidden="true">)" : fmt::format(R"( role="img" aria-label="{0}"><title>{0}</title>)", escape(title));
}

void Svg::element(const std::string& start, const std::string& classes, const std::string& title, double opacity) {
  body_ += "<" + start;
  if (!classes.empty()) body_ += " class=\"" + classes + "\"";
  if (opacity < 1) body_ += " fill-opacity=\"" + coordinate(opacity, 2) + "\"";
  if (title.empty()) {
    body_ += "/>";
    return;
  }
  body_ += "><title>" + escape(title) + "</title></" + start.substr(0, start.find(' ')) + ">";
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& classes) {
  element(fmt::format(R"(line x1="{}" y1="{}" x2="{}" y2="{}")", coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2)), classes, "", 1);
}

void Svg::rectangle(double x, double y, double width, double height, const std::string& classes, const std::string& title, double radius,
                    double opacity) {
  element(fmt::format(R"(rect x="{}" y="{}" width="{}" height="{}"{})", coordinate(x), coordinate(y), coordinate(std::max(0.0, width)),
                      coordinate(std::max(0.0, height)), radius > 0 ? fmt::format(R"( rx="{}")", coordinate(radius)) : ""),
          classes, title, opacity);
}

void Svg::text(double x, double y, const std::string& text, const std::string& classes, const char* anchor, double turned) {
  body_ += fmt::format(R"(<text x="{}" y="{}")", coordinate(x), coordinate(y));
  if (!classes.empty()) body_ += " class=\"" + classes + "\"";
  if (std::string_view(anchor) != "start") body_ += fmt::format(R"( text-anchor="{}")", anchor);
  if (turned != 0) body_ += fmt::format(R"x( transform="rotate({} {} {})")x", coordinate(turned), coordinate(x), coordinate(y));
  body_ += ">" + escape(text) + "</text>";
}

void Svg::path(const std::string& d, const std::string& classes, const std::string& title, double opacity) {
  element("path d=\"" + d + "\"", classes, title, opacity);
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, const std::string& classes) {
  std::string d;
  for (const auto& [x, y] : points) d += (d.empty() ? "" : " ") + coordinate(x) + "," + coordinate(y);
  element("polyline points=\"" + d + "\"", classes, "", 1);
}

void Svg::marker(int shape, double x, double y, double r, const std::string& classes, const std::string& title) {
  const auto c = [](double v) { return coordinate(v); };
  if (shape % 4 == 0) element(fmt::format(R"(circle cx="{}" cy="{}" r="{}")", c(x), c(y), c(r)), classes, title, 1);
  if (shape % 4 == 1) rectangle(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r, classes, title, r / 5);
  if (shape % 4 == 2)
    path(fmt::format("M{} {}L{} {}L{} {}Z", c(x), c(y - 1.2 * r), c(x + 1.1 * r), c(y + 0.8 * r), c(x - 1.1 * r), c(y + 0.8 * r)), classes, title);
  if (shape % 4 == 3)
    path(fmt::format("M{} {}L{} {}L{} {}L{} {}Z", c(x), c(y - 1.25 * r), c(x + 1.25 * r), c(y), c(x), c(y + 1.25 * r), c(x - 1.25 * r), c(y)),
         classes, title);
}

}  // namespace ds::report
