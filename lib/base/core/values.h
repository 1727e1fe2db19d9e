// From text to typed options and back: the one place where a value is converted and checked, wherever it came from.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/core/fields.h"
#include "base/core/yaml.h"

namespace ds::core {

/// Decimal digits with an optional sign, no leading zero, in range of int64.
std::optional<std::int64_t> parse_integer(const std::string& text);
/// A decimal number: 3, -0.5, .5, 1e-3; also inf, .inf, nan, .nan. No leading zero; overflow is none.
std::optional<double> parse_number(const std::string& text);
/// "010", "-01": YAML readers disagree whether that is 10 or 8.
bool has_leading_zero(const std::string& text);
/// "8G", "512 MiB", "1.5GB", "4096": bytes; K, M, G, T are powers of 1024, KB, MB, GB, TB of 1000.
std::optional<std::int64_t> parse_bytes(const std::string& text);

/// What is wrong with a value, and where in it.
struct Problem {
  std::string what, hint;
  const Value* at;
};
/// Converts `value`, checks it against the entry's field and stores it in the entry's target.
std::optional<Problem> assign(const Entry& entry, const Value& value);

/// "an integer", "a number", "true or false", "a list of numbers" ...
std::string type_text(const Entry& entry);
/// "in [0, 1)", "at least 1", "" where any value goes.
std::string range_text(const Field& field);
/// What the target holds now.
nlohmann::json entry_json(const Entry& entry);
/// The same as one word or a flow list, as YAML reads it.
std::string entry_text(const Entry& entry);
bool is_bool(const Entry& entry);
bool is_list(const Entry& entry);
/// A list of NAME=VALUE, as its value_name says: it may also be written as a map, `key: {name: value}`.
bool is_pairs(const Entry& entry);

/// What is wrong with JSON, in words: an exception's text without the library's name and number.
std::string json_problem(const nlohmann::json::exception& error);

/// A copy of what a target holds, and its way back.
using FieldValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>>;
FieldValue save(const FieldTarget& target);
void restore(const FieldTarget& target, const FieldValue& value);

}  // namespace ds::core
