// What stands behind the name of a data set: a path, and options as key=value,key=value.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/core/error.h"
#include "engine/data/assemble.h"

namespace ds::data {

namespace {

[[noreturn]] void refuse(const std::string& set, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kUsage, "data", set + ": " + what, hint);
}

const core::Entry& entry_of(const std::string& set, const core::Fields& fields, const std::string& key) {
  std::vector<std::string> keys;
  for (const core::Entry& entry : fields.entries()) {
    if (entry.path == key) return entry;
    keys.push_back(entry.path);
  }
  const std::string guess = core::nearest(key, keys);
  refuse(set, fmt::format("unknown key '{}'{}", key, guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
         fmt::format("one of {}", fmt::join(keys, ", ")));
}

}  // namespace

std::int64_t read_integer(const std::string& set, const std::string& key, const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) refuse(set, fmt::format("{}={}, expected an integer", key, text));
  return value;
}

void read_options(const std::string& set, const std::string& text, core::Options& options) {
  const core::Fields fields = core::walk(options);
  std::set<std::string> seen;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) refuse(set, fmt::format("'{}', expected key=value", item));
    const std::string key = item.substr(0, equals), value = item.substr(equals + 1);
    if (!seen.insert(key).second) refuse(set, fmt::format("{} is given twice", key));
    const core::Entry& entry = entry_of(set, fields, key);
    if (auto* const string = std::get_if<std::string*>(&entry.target)) {
      const std::vector<std::string>& choices = entry.field.choices;
      if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
        refuse(set, fmt::format("{}={}, expected one of {}", key, value, fmt::join(choices, ", ")));
      **string = value;
      continue;
    }
    const std::int64_t number = read_integer(set, key, value);
    if (double(number) < entry.field.min) refuse(set, fmt::format("{}={}, expected at least {}", key, number, entry.field.min));
    if (double(number) > entry.field.max) refuse(set, fmt::format("{}={}, expected at most {}", key, number, entry.field.max));
    *std::get<std::int64_t*>(entry.target) = number;
  }
}

std::pair<std::string, std::string> split_options(const std::string& rest) {
  std::error_code error;
  const std::size_t mark = rest.rfind('?');
  if (mark == std::string::npos || std::filesystem::exists(rest, error)) return {rest, ""};
  return {rest.substr(0, mark), rest.substr(mark + 1)};
}

}  // namespace ds::data
