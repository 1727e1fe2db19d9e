#include "base/graph/template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/graph/dim.h"

namespace ds::graph {
namespace templates {

using core::Value;
using Json = nlohmann::json;

constexpr std::size_t kMaxEntries = 200'000;  ///< of a list, after its repetitions
constexpr std::size_t kMaxText = 4096;        ///< characters of a text with values in it
constexpr int kMaxDepth = 8;                  ///< of repetitions within each other
constexpr std::size_t kMaxValues = 4'000'000, kMaxBytes = 64 << 20;  ///< of all that is made: a few lines can ask for more than any memory
const std::string kBefore = "in";             ///< the value that a round of a repetition begins with

const Value* member(const Value& map, const std::string& key) {
  for (std::size_t i = 0; i < map.keys.size(); ++i)
    if (map.keys[i].text == key) return &map.items[i];
  return nullptr;
}

bool is_name(const std::string& text) {
  bool good = !text.empty() && text.size() <= 32 && !std::isdigit(static_cast<unsigned char>(text[0]));
  for (const char c : text) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_');
  return good;
}

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

class Expander {
 public:
  Expander(const Parameters& parameters, const std::string& where) : given_(parameters.given), names_(parameters.fixed), where_(where) {}

  Value run(const Value& document) {
    if (document.kind != Value::Kind::kMap) return document;
    Value result = document;
    result.keys.clear();
    result.items.clear();
    if (const Value* stated = member(document, "parameters")) read_parameters(*stated);
    for (const auto& [name, value] : given_.items()) fail(document, fmt::format("has no parameter '{}'", name), near(name, declared_));
    if (const Value* inputs = member(document, "inputs")) begin_at(substitute(*inputs));
    for (std::size_t i = 0; i < document.keys.size(); ++i) {
      const std::string& key = document.keys[i].text;
      if (key == "parameters") continue;
      result.keys.push_back(document.keys[i]);
      result.items.push_back(key == "meta" ? document.items[i] : top(document.items[i], key));
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const Value& at, const std::string& what, const std::string& hint = "") const {
    throw Error(Exit::kInput, at.line > 0 ? fmt::format("{}:{}", where_, at.line) : where_, what, hint);
  }

  static std::string near(const std::string& name, const std::vector<std::string>& names) {
    const std::string found = core::nearest(name, names);
    return found.empty() ? (names.empty() ? "" : fmt::format("there are {}", fmt::join(names, ", "))) : fmt::format("did you mean '{}'", found);
  }

  std::vector<std::string> known() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : names_.items()) names.push_back(name);
    return names;
  }

  /// The stated parameters with the values that were given in their place, which leave given_.
  void read_parameters(const Value& stated) {
    if (stated.kind != Value::Kind::kMap) fail(stated, "'parameters' is no mapping", "such as parameters: {width: 32}");
    for (std::size_t i = 0; i < stated.keys.size(); ++i) {
      const std::string& name = stated.keys[i].text;
      check_new(stated.keys[i], name);
      Json value = typed(substitute(stated.items[i]));
      if (!is_plain(value)) fail(stated.keys[i], fmt::format("parameter '{}' is {}, expected a value or a list of values", name, value.dump().substr(0, 64)));
      if (const auto it = given_.find(name); it != given_.end()) {
        if (!fits(value, *it)) fail(stated.keys[i], fmt::format("parameter '{}' is given as {}, expected a value like {}", name, it->dump(), value.dump()));
        value = *it;
        given_.erase(it);
      }
      names_[name] = std::move(value);
      declared_.push_back(name);
    }
  }

  static bool is_plain(const Json& value) {
    if (!value.is_array()) return !value.is_object() && !value.is_null();
    return std::none_of(value.begin(), value.end(), [](const Json& item) { return item.is_structured() || item.is_null(); });
  }

  static bool fits(const Json& stated, const Json& given) {
    if (stated.is_number_float()) return given.is_number();
    return stated.type() == given.type() || (stated.is_number_integer() && given.is_number_integer());
  }

  void check_new(const Value& at, const std::string& name) const {
    if (!is_name(name) || name == "floor") fail(at, fmt::format("'{}' is no name of a parameter", name), "use up to 32 letters, digits and _");
    if (name == kBefore) fail(at, fmt::format("'{}' is what a round of a repetition begins with", name), "use another name");
    if (names_.contains(name)) fail(at, fmt::format("'{}' has a value already", name), "use another name");
  }

  void begin_at(const Value& inputs) {
    if (inputs.kind != Value::Kind::kList || inputs.items.empty()) return;
    if (const Value* name = member(inputs.items[0], "name")) before_ = name->text;
  }

  Value top(const Value& list, const std::string& key) {
    if (list.kind != Value::Kind::kList) return substitute(list);
    Value result = list;
    result.items.clear();
    append(list, key, result.items, 0);
    return result;
  }

  void append(const Value& list, const std::string& key, std::vector<Value>& out, int depth) {
    for (const Value& entry : list.items) {
      if (const Value* repeat = member(entry, "repeat")) {
        round_by_round(entry, *repeat, key, out, depth);
        continue;
      }
      if (out.size() >= kMaxEntries) fail(entry, fmt::format("repetitions make more than {} {}", kMaxEntries, key));
      out.push_back(substitute(entry));
      const Value* name = member(out.back(), "name");
      if (key == "nodes" && name != nullptr) before_ = name->text;
    }
  }

  void round_by_round(const Value& entry, const Value& repeat, const std::string& key, std::vector<Value>& out, int depth) {
    const Value* body = member(entry, key);
    if (depth >= kMaxDepth) fail(entry, fmt::format("repetitions are within each other more than {} times", kMaxDepth));
    if (body == nullptr || body->kind != Value::Kind::kList || entry.keys.size() != 2)
      fail(entry, fmt::format("a repetition has the keys 'repeat' and '{}'", key), fmt::format("such as {{repeat: {{i: 3}}, {}: [...]}}", key));
    if (repeat.kind != Value::Kind::kMap || repeat.keys.empty()) fail(repeat, "'repeat' is no mapping", "such as repeat: {i: 3}");
    std::map<std::string, Json> columns;
    std::size_t rounds = 0;
    for (std::size_t i = 0; i < repeat.keys.size(); ++i) {
      const std::string& name = repeat.keys[i].text;
      check_new(repeat.keys[i], name);
      Json values = typed(substitute(repeat.items[i]));
      if (values.is_number_integer() && values >= 0 && values <= static_cast<std::int64_t>(kMaxEntries)) {
        Json counted = Json::array();
        for (std::int64_t n = 0; n < values.get<std::int64_t>(); ++n) counted.push_back(n);
        values = std::move(counted);
      }
      if (!values.is_array() || !is_plain(values))
        fail(repeat.keys[i], fmt::format("'{}' is {}, expected a number of rounds or a list of values", name, values.dump().substr(0, 64)));
      spend(repeat, values.size(), 0);
      if (i > 0 && values.size() != rounds) fail(repeat.keys[i], fmt::format("'{}' has {} values, '{}' {}", name, values.size(), repeat.keys[0].text, rounds));
      rounds = values.size();
      columns[name] = std::move(values);
    }
    const Json outer_before = names_.value(kBefore, Json());
    for (std::size_t round = 0; round < rounds; ++round) {
      spend(entry, 1, 0);
      for (const auto& [name, values] : columns) names_[name] = values[round];
      if (key == "nodes") names_[kBefore] = before_;
      append(*body, key, out, depth + 1);
    }
    for (const auto& [name, values] : columns) names_.erase(name);
    if (outer_before.is_null()) names_.erase(kBefore);
    else names_[kBefore] = outer_before;
  }

  Json typed(const Value& value) const {
    try {
      return core::yaml_json(value, where_);
    } catch (const Error& e) {
      throw Error(Exit::kInput, e.where(), e.message(), e.hint());
    }
  }

  void spend(const Value& at, std::size_t values, std::size_t bytes) {
    values_ += values;
    bytes_ += bytes;
    if (values_ > kMaxValues || bytes_ > kMaxBytes)
      fail(at, fmt::format("repetitions make more than {} values or {} MiB of text", kMaxValues, kMaxBytes >> 20));
  }

  /// A copy with the values of every `$(...)`.
  Value substitute(const Value& value) {
    spend(value, 1, value.text.size());
    Value result = value;
    for (Value& item : result.items) item = substitute(item);
    if (value.kind != Value::Kind::kScalar || value.text.find("$(") == std::string::npos) return result;
    const std::size_t end = closing(value, 0);
    if (value.text.compare(0, 2, "$(") == 0 && end + 1 == value.text.size()) return as_value(value, evaluate(value, value.text.substr(2, end - 2)));
    std::string text;
    for (std::size_t at = 0; at < value.text.size();) {
      if (value.text.compare(at, 2, "$(") != 0) {
        text += value.text[at++];
        continue;
      }
      const std::size_t close = closing(value, at);
      const Json found = evaluate(value, value.text.substr(at + 2, close - at - 2));
      if (found.is_array()) fail(value, fmt::format("'{}' has a list within a text", value.text));
      text += found.is_string() ? found.get<std::string>() : found.dump();
      if (text.size() > kMaxText) fail(value, fmt::format("'{}' makes more than {} characters", value.text.substr(0, 64), kMaxText));
      at = close + 1;
    }
    result.text = std::move(text);
    result.plain = false;
    return result;
  }

  /// Where the parenthesis that the next `$(` from there on opens is closed.
  std::size_t closing(const Value& value, std::size_t from) const {
    const std::size_t open = value.text.find("$(", from);
    int depth = 0;
    for (std::size_t i = open; i < value.text.size(); ++i) {
      depth += value.text[i] == '(' ? 1 : value.text[i] == ')' ? -1 : 0;
      if (i > open && depth == 0) return i;
    }
    fail(value, fmt::format("'{}' has no ')' to its '$('", value.text));
  }

  Value as_value(const Value& at, const Json& json) {
    spend(at, 1, json.is_string() ? json.get_ref<const std::string&>().size() : 0);
    Value result = at;
    result.kind = json.is_array() ? Value::Kind::kList : Value::Kind::kScalar;
    result.text = json.is_string() ? json.get<std::string>() : json.is_array() ? "" : json.dump();
    result.plain = !json.is_string();
    for (const Json& item : json.is_array() ? json : Json::array()) result.items.push_back(as_value(at, item));
    return result;
  }

  Json evaluate(const Value& at, const std::string& text) const {
    const std::string name = trimmed(text);
    if (const auto it = names_.find(name); it != names_.end()) return *it;
    if (name == kBefore) fail(at, fmt::format("'$({})' is of use within the nodes of a repetition alone", name));
    try {
      const Dim expression = Dim::parse(text);
      Bindings values;
      for (const std::string& symbol : expression.symbols()) {
        const auto it = names_.find(symbol);
        if (it == names_.end()) fail(at, fmt::format("'$({})': there is no parameter '{}'", text, symbol), near(symbol, known()));
        if (!it->is_number_integer()) fail(at, fmt::format("'$({})': '{}' is {}, which is no whole number", text, symbol, it->dump()));
        values[symbol] = it->get<std::int64_t>();
      }
      return expression.evaluate(values);
    } catch (const Error& e) {
      if (!e.where().empty()) throw;
      fail(at, fmt::format("'$({})': {}", text, e.message()), e.hint());
    }
  }

  Json given_, names_;
  std::size_t values_ = 0, bytes_ = 0;  ///< made so far
  std::vector<std::string> declared_;
  std::string where_, before_;
};

}  // namespace templates

core::Value expand(const core::Value& document, const Parameters& parameters, const std::string& where) {
  return templates::Expander(parameters, where).run(document);
}

}  // namespace ds::graph
