#include "base/core/values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>

#include "base/core/registry.h"

namespace ds::core {
namespace {

using MaybeProblem = std::optional<Problem>;

std::string shown(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return "nothing";
    case Value::Kind::kList:
      return "a list";
    case Value::Kind::kMap:
      return "a map";
    case Value::Kind::kScalar:
      break;
  }
  const std::string text = value.text.size() > 60 ? fmt::format("{:.57}...", value.text) : value.text;
  return value.plain || value.loose ? fmt::format("'{}'", text) : fmt::format("the string \"{}\"", text);
}

Problem wrong_type(const char* expected, const Value& value, std::string hint = "") {
  return {fmt::format("expected {}, got {}", expected, shown(value)), std::move(hint), &value};
}

bool is_word(const Value& value) { return value.kind == Value::Kind::kScalar && (value.plain || value.loose); }

bool says_auto(const Field& field, const Value& value) { return field.or_auto && value.kind == Value::Kind::kScalar && value.text == "auto"; }

MaybeProblem check_range(const Field& field, double number, const Value& value) {
  const std::string range = range_text(field);
  if (range.empty()) return {};
  const bool inside = std::isfinite(number) && (field.above_min ? number > field.min : number >= field.min) &&
                      (field.below_max ? number < field.max : number <= field.max);
  if (inside) return {};
  return Problem{fmt::format("expected a number {}, got {}", range, value.text), "", &value};
}

MaybeProblem convert(const Field&, const Value& value, bool& target) {
  if (is_word(value) && (value.text == "true" || value.text == "false")) {
    target = value.text == "true";
    return {};
  }
  std::string hint;
  if (value.kind == Value::Kind::kScalar) {
    std::string word;
    for (const char c : value.text) word += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    for (const char* yes : {"yes", "on", "y", "1", "true"})
      if (word == yes) hint = "write true";
    for (const char* no : {"no", "off", "n", "0", "false"})
      if (word == no) hint = "write false";
  }
  return wrong_type("true or false", value, hint);
}

MaybeProblem convert(const Field& field, const Value& value, std::int64_t& target) {
  if (says_auto(field, value)) {
    target = kAutoInteger;
    return {};
  }
  if (value.kind != Value::Kind::kScalar) return wrong_type("an integer", value);
  if (!is_word(value)) return wrong_type("an integer", value, parse_integer(value.text) ? "drop the quotes" : "");
  const auto number = parse_integer(value.text);
  if (!number) {
    const auto real = parse_number(value.text);
    const bool whole = real && std::abs(*real) < 9e15 && *real == std::floor(*real);
    const std::string digits = value.text.substr(std::min(value.text.find_first_not_of("+-0"), value.text.size()));
    if (has_leading_zero(value.text))
      return wrong_type("an integer without a leading zero", value, fmt::format("write {}", digits.empty() ? "0" : digits));
    return wrong_type(field.or_auto ? "an integer or auto" : "an integer", value, whole ? fmt::format("write {}", static_cast<std::int64_t>(*real)) : "");
  }
  if (auto problem = check_range(field, static_cast<double>(*number), value)) return problem;
  target = *number;
  return {};
}

MaybeProblem convert(const Field& field, const Value& value, double& target) {
  if (says_auto(field, value)) {
    target = kAutoNumber;
    return {};
  }
  if (value.kind != Value::Kind::kScalar) return wrong_type("a number", value);
  if (!is_word(value)) return wrong_type("a number", value, parse_number(value.text) ? "drop the quotes" : "");
  if (has_leading_zero(value.text)) return wrong_type("a number without a leading zero", value);
  const auto number = parse_number(value.text);
  if (!number) return wrong_type(field.or_auto ? "a number or auto" : "a number", value);
  if (auto problem = check_range(field, *number, value)) return problem;
  target = *number;
  return {};
}

MaybeProblem convert(const Field& field, const Value& value, std::string& target) {
  if (value.kind != Value::Kind::kScalar) return wrong_type("a text", value);
  if (!field.choices.empty() && std::find(field.choices.begin(), field.choices.end(), value.text) == field.choices.end()) {
    const std::string guess = nearest(value.text, field.choices);
    return Problem{fmt::format("expected one of {}, got '{}'{}", fmt::join(field.choices, ", "), value.text,
                               guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
                   "", &value};
  }
  target = value.text;
  return {};
}

std::vector<Value> split_commas(const Value& value) {
  std::vector<Value> items;
  for (std::size_t start = 0; !value.text.empty() && start <= value.text.size();) {
    const std::size_t end = std::min(value.text.find(',', start), value.text.size());
    Value item = value;
    item.text = value.text.substr(start, end - start);
    item.text.erase(0, std::min(item.text.find_first_not_of(' '), item.text.size()));
    while (!item.text.empty() && item.text.back() == ' ') item.text.pop_back();
    items.push_back(std::move(item));
    start = end + 1;
  }
  return items;
}

template <class T>
MaybeProblem convert(const Field& field, const Value& value, std::vector<T>& target) {
  std::vector<T> values;
  if (value.kind == Value::Kind::kScalar && !value.loose) return wrong_type("a list", value, fmt::format("write [{}]", value.text));
  if (value.kind != Value::Kind::kScalar && value.kind != Value::Kind::kList) return wrong_type("a list", value);
  const std::vector<Value> parts = value.kind == Value::Kind::kScalar ? split_commas(value) : std::vector<Value>();
  for (const Value& item : value.kind == Value::Kind::kScalar ? parts : value.items) {
    T converted{};
    if (auto problem = convert(field, item, converted)) {
      if (value.kind == Value::Kind::kScalar) problem->at = &value;  // `parts` ends with this call
      return problem;
    }
    values.push_back(std::move(converted));
  }
  target = std::move(values);
  return {};
}

}  // namespace

bool has_leading_zero(const std::string& text) {
  std::size_t i = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  if (i + 1 >= text.size() || text[i] != '0') return false;
  return text.find_first_not_of("0123456789.eE+-", i) == std::string::npos && text[i + 1] >= '0' && text[i + 1] <= '9';
}

std::optional<std::int64_t> parse_integer(const std::string& text) {
  if (text.empty() || has_leading_zero(text)) return {};
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  if (begin == end || (text[0] == '+' && *begin == '-')) return {};
  std::int64_t value = 0;
  const auto result = std::from_chars(begin, end, value);
  if (result.ec != std::errc() || result.ptr != end) return {};
  return value;
}

std::optional<double> parse_number(const std::string& text) {
  if (text.empty() || has_leading_zero(text)) return {};
  const bool sign = text[0] == '+' || text[0] == '-';
  const std::string body = text.substr(sign ? 1 : 0);
  const double factor = text[0] == '-' ? -1 : 1;
  if (body == "inf" || body == ".inf") return factor * std::numeric_limits<double>::infinity();
  if (body == "nan" || body == ".nan") return std::numeric_limits<double>::quiet_NaN();
  if (body.empty() || body.find_first_not_of("0123456789.eE+-") != std::string::npos || body.find_first_of("0123456789") == std::string::npos ||
      body[0] == '-' || body[0] == '+')
    return {};
  double value = 0;
  const auto result = std::from_chars(body.data(), body.data() + body.size(), value);
  if (result.ec != std::errc() || result.ptr != body.data() + body.size()) return {};
  return factor * value;
}

std::optional<std::int64_t> parse_bytes(const std::string& text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = parse_number(text.substr(0, end));
  std::string unit;
  for (const char c : text.substr(end))
    if (c != ' ') unit += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  double factor = 1;
  if (!unit.empty() && unit != "B") {
    const std::size_t power = std::string("KMGT").find(unit[0]);
    const std::string rest = unit.substr(1);
    if (power == std::string::npos || (!rest.empty() && rest != "B" && rest != "IB")) return {};
    factor = std::pow(rest == "B" ? 1000.0 : 1024.0, static_cast<double>(power) + 1);
  }
  if (!number || !(*number * factor < 9e18)) return {};
  return static_cast<std::int64_t>(*number * factor);
}

std::optional<Problem> assign(const Entry& entry, const Value& value) {
  return std::visit([&](auto* target) { return convert(entry.field, value, *target); }, entry.target);
}

std::string type_text(const Entry& entry) {
  if (entry.choice != nullptr) return entry.choice->kind;
  static const char* const names[] = {"true or false", "an integer", "a number", "a text", "a list of integers", "a list of numbers", "a list"};
  return names[entry.target.index()] + std::string(entry.field.or_auto ? " or auto" : "");
}

std::string range_text(const Field& field) {
  const bool low = std::isfinite(field.min), high = std::isfinite(field.max);
  if (low && high) return fmt::format("in {}{}, {}{}", field.above_min ? "(" : "[", field.min, field.max, field.below_max ? ")" : "]");
  if (low) return fmt::format("{} {}", field.above_min ? "above" : "of at least", field.min);
  if (high) return fmt::format("{} {}", field.below_max ? "below" : "of at most", field.max);
  return "";
}

nlohmann::json entry_json(const Entry& entry) {
  if (entry.field.or_auto && std::visit([](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::int64_t>) return is_auto(*target);
        return false;
      }, entry.target))
    return "auto";
  return std::visit([](auto* target) { return nlohmann::json(*target); }, entry.target);
}

std::string entry_text(const Entry& entry) {
  const nlohmann::json json = entry_json(entry);
  std::string text = yaml_text(json);
  text.pop_back();
  return text;
}

bool is_bool(const Entry& entry) { return std::holds_alternative<bool*>(entry.target); }

bool is_list(const Entry& entry) { return entry.target.index() >= 4; }

bool is_pairs(const Entry& entry) { return std::holds_alternative<std::vector<std::string>*>(entry.target) && entry.field.value_name == "NAME=VALUE"; }

std::string json_problem(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return text.compare(0, 6, "[json.") == 0 && end != std::string::npos ? text.substr(end + 2) : text;
}

FieldValue save(const FieldTarget& target) {
  return std::visit([](auto* pointer) { return FieldValue(*pointer); }, target);
}

void restore(const FieldTarget& target, const FieldValue& value) {
  std::visit([&](auto* pointer) { *pointer = std::get<std::remove_pointer_t<decltype(pointer)>>(value); }, target);
}

}  // namespace ds::core
