// YAML in and out. Strict on the way in: what would be read other than it is meant is an error with its line and column.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ds::core {

/// A value as it stands in a YAML document, on a flag or in a variable; not yet typed.
struct Value {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;          ///< of a scalar
  bool plain = true;         ///< a scalar without quotes
  bool loose = false;        ///< from a flag or a variable: text without YAML types, a list is separated by commas
  std::vector<Value> keys;   ///< of a map: scalars
  std::vector<Value> items;  ///< of a list or a map
  int line = 0, column = 0;  ///< from 1; 0 = no place

  static Value scalar(std::string text, bool loose = true);
};

/// Limits of what parse_yaml takes.
inline constexpr std::int64_t kMaxYamlBytes = 16 << 20;
inline constexpr int kMaxYamlDepth = 64;

/// Parses one document; an empty one is null. Appends to `errors` (Exit::kUsage, "name:line:column"): tabs in the indentation, duplicate keys,
/// anchors, aliases, merge keys, tags, a second document, depth over 64, bytes that are not UTF-8, and whatever else is no YAML.
Value parse_yaml(const std::string& text, const std::string& name, std::vector<Error>& errors);
/// A regular file of at most 16 MiB, parsed. A missing file, a folder or a FIFO is an error with Exit::kInput.
Value read_yaml(const std::string& path, std::vector<Error>& errors);

/// A value with YAML's core types: plain null, true, false, integers and numbers are that, all else are strings.
/// Throws ds::Error(kUsage) for an integer with a leading zero.
nlohmann::json yaml_json(const Value& value, const std::string& name);
/// Parses and types a whole document. Throws all errors together.
nlohmann::json json_from_yaml(const std::string& text, const std::string& name);

/// A string as a YAML scalar: plain where nothing else could be read from it, else in double quotes.
std::string yaml_string(std::string_view text);
/// A number so that it reads back as the same bits; ".inf", "-.inf", ".nan".
std::string yaml_number(double value);
/// Block style; lists of scalars in one line. Keys of the outer map come in the order of `first`, then sorted, then in the order of `last`.
std::string yaml_text(const nlohmann::json& json, const std::vector<std::string>& first = {}, const std::vector<std::string>& last = {});

}  // namespace ds::core
