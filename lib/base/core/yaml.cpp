#include "base/core/yaml.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <sstream>
#include <unordered_map>

#include "base/core/values.h"

namespace ds::core {
namespace {

struct TooDeep {};

/// Builds the tree from the parser's events: yaml-cpp's own nodes hide duplicate keys, aliases and quotes.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& text, const std::string& name, std::vector<Error>& errors) : text_(text), name_(name), errors_(errors) {
    for (std::size_t start = 0; start <= text.size(); start = std::min(text.find('\n', start), text.size()) + 1) lines_.push_back(start);
  }

  Value root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "", anchor);
    add(at(mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    error(mark, "aliases (*name) are not supported", "repeat the value");
    add(at(mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    check(mark, tag, anchor);
    Value value = at(mark);
    value.kind = Value::Kind::kScalar;
    value.text = text;
    value.plain = tag != "!";
    if (!value.plain && !is_closed(mark)) error(mark, "a quote that is never closed", "");
    add(std::move(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, Value::Kind::kList);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, Value::Kind::kMap);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapEnd() override {
    std::unordered_map<std::string, int> lines;
    for (const Value& key : open_.back().keys) {
      const auto [found, fresh] = lines.emplace(key.text, key.line);
      if (!fresh) error(key, fmt::format("duplicate key '{}', first in line {}", key.text, found->second), "");
    }
    end();
  }

 private:
  static Value at(const YAML::Mark& mark) {
    Value value;
    value.line = mark.line + 1;
    value.column = mark.column + 1;
    return value;
  }
  /// yaml-cpp takes the end of the file for the missing quote.
  bool is_closed(const YAML::Mark& mark) const {
    const std::size_t start = lines_[std::min(static_cast<std::size_t>(mark.line), lines_.size() - 1)] + static_cast<std::size_t>(mark.column);
    if (start >= text_.size() || (text_[start] != '"' && text_[start] != '\'')) return true;  // a block scalar
    const char quote = text_[start];
    for (std::size_t i = start + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\' && quote == '"') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '"' || i + 1 >= text_.size() || text_[i + 1] != quote) return true;
        ++i;
      }
    }
    return false;
  }
  void error(const Value& place, std::string what, std::string hint) {
    errors_.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", name_, place.line, place.column), std::move(what), std::move(hint));
  }
  void error(const YAML::Mark& mark, std::string what, std::string hint) { error(at(mark), std::move(what), std::move(hint)); }
  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) error(mark, "anchors (&name) are not supported", "write the value where it is needed");
    if (!tag.empty() && tag != "?" && tag != "!") error(mark, fmt::format("tag '{}' is not supported", tag), "types come from the option");
  }
  void start(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind) {
    check(mark, tag, anchor);
    if (static_cast<int>(open_.size()) >= kMaxYamlDepth) {
      error(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth), "");
      throw TooDeep();
    }
    Value value = at(mark);
    value.kind = kind;
    open_.push_back(std::move(value));
  }
  void end() {
    Value value = std::move(open_.back());
    open_.pop_back();
    add(std::move(value));
  }
  void add(Value value) {
    if (open_.empty()) {
      root = std::move(value);
      return;
    }
    Value& parent = open_.back();
    if (parent.kind == Value::Kind::kMap && parent.keys.size() == parent.items.size()) return add_key(parent, std::move(value));
    parent.items.push_back(std::move(value));
  }
  void add_key(Value& parent, Value key) {
    if (key.kind != Value::Kind::kScalar || key.text.empty()) error(key, "a key must be a word", "");
    if (key.plain && key.text == "<<") error(key, "merge keys (<<) are not supported", "write the keys out, or give several -c files");
    parent.keys.push_back(std::move(key));
  }

  const std::string& text_;
  const std::string& name_;
  std::vector<Error>& errors_;
  std::vector<std::size_t> lines_;  ///< where each begins
  std::vector<Value> open_;
};

/// Offset of the first byte that is no UTF-8 text, or npos.
std::size_t find_non_text(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      if (c < 0x20 && c != '\n' && c != '\r' && c != '\t') return i;
      ++i;
      continue;
    }
    const std::size_t length = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return i;
    i += length;
  }
  return std::string::npos;
}

/// yaml-cpp takes some tabs and reads another structure than an editor shows, so none may indent.
bool check_tabs(const std::string& text, const std::string& name, std::vector<Error>& errors) {
  int line = 1;
  bool clean = true;
  for (std::size_t start = 0; start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::size_t body = text.find_first_not_of(" \t\r", start);
    // Not to the end of the text: that is quadratic where there is no tab.
    const std::size_t tab = start + std::min(std::string_view(text).substr(start, std::min(body, end) - start).find('\t'), end - start);
    if (tab < body && body < end && text[body] != '#') {
      errors.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", name, line, tab - start + 1), "tab in the indentation", "use spaces");
      clean = false;
    }
    start = end + 1;
  }
  return clean;
}

std::string lower_first(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

void emit(std::string& out, const nlohmann::json& json, int indent);

std::string emit_scalar(const nlohmann::json& json) {
  if (json.is_string()) return yaml_string(json.get_ref<const std::string&>());
  if (json.is_number_float()) return yaml_number(json.get<double>());
  return json.dump();
}

bool is_flat(const nlohmann::json& list) {
  for (const auto& item : list)
    if (item.is_structured() && !item.empty()) return false;
  return true;
}

std::string emit_flow(const nlohmann::json& list) {
  std::string text = "[";
  for (const auto& item : list) text += (text.size() > 1 ? ", " : "") + (item.is_structured() ? item.dump() : emit_scalar(item));
  return text + "]";
}

void emit_member(std::string& out, const std::string& key, const nlohmann::json& value, int indent) {
  out += std::string(static_cast<std::size_t>(indent), ' ') + yaml_string(key) + ":";
  if (value.is_object() && !value.empty()) {
    out += "\n";
    emit(out, value, indent + 2);
  } else if (value.is_array() && !is_flat(value)) {
    out += "\n";
    emit(out, value, indent);
  } else {
    out += " " + (value.is_array() ? emit_flow(value) : value.is_object() ? std::string("{}") : emit_scalar(value)) + "\n";
  }
}

void emit(std::string& out, const nlohmann::json& json, int indent) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  if (json.is_object() && !json.empty()) {
    for (const auto& [key, value] : json.items()) emit_member(out, key, value, indent);
  } else if (json.is_array() && !is_flat(json)) {
    for (const auto& item : json) {
      std::string text;
      emit(text, item, indent + 2);
      // The dash takes the place of the first line's margin.
      out += margin + "- " + (text.compare(0, margin.size() + 2, margin + "  ") == 0 ? text.substr(margin.size() + 2) : text);
    }
  } else {
    out += margin + (json.is_array() ? emit_flow(json) : json.is_object() ? std::string("{}") : emit_scalar(json)) + "\n";
  }
}

}  // namespace

Value Value::scalar(std::string text, bool loose) {
  Value value;
  value.kind = Kind::kScalar;
  value.text = std::move(text);
  value.loose = loose;
  return value;
}

Value parse_yaml(const std::string& text, const std::string& name, std::vector<Error>& errors) {
  if (static_cast<std::int64_t>(text.size()) > kMaxYamlBytes) {
    errors.emplace_back(Exit::kUsage, name, fmt::format("{} bytes, expected at most {}", text.size(), kMaxYamlBytes));
    return {};
  }
  if (const std::size_t bad = find_non_text(text); bad != std::string::npos) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n') + 1;
    const std::size_t before = bad == 0 ? std::string::npos : text.rfind('\n', bad - 1);
    const std::size_t column = before == std::string::npos ? bad + 1 : bad - before;
    errors.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", name, line, column),
                        fmt::format("byte 0x{:02x}, expected UTF-8 text", static_cast<unsigned char>(text[bad])));
    return {};
  }
  if (!check_tabs(text, name, errors)) return {};
  TreeBuilder builder(text, name, errors);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return {};
    Value root = std::move(builder.root);
    builder.root = {};
    if (parser.HandleNextDocument(builder))
      errors.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", name, std::max(builder.root.line, 1), std::max(builder.root.column, 1)),
                          "a second document, expected one");
    return root;
  } catch (const YAML::Exception& e) {
    errors.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", name, e.mark.line + 1, e.mark.column + 1), lower_first(e.msg));
  } catch (const TooDeep&) {  // the builder has put down the error
  }
  return {};
}

Value read_yaml(const std::string& path, std::vector<Error>& errors) {
  // O_NONBLOCK: a FIFO must not make us wait before we see what it is.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    errors.emplace_back(Exit::kInput, path, errno == ENOENT ? "no such file" : fmt::format("cannot be read: {}", lower_first(std::strerror(errno))));
    return {};
  }
  struct stat status = {};
  fstat(file, &status);
  std::string text;
  if (!S_ISREG(status.st_mode)) {
    errors.emplace_back(Exit::kInput, path,
                        S_ISDIR(status.st_mode) ? "is a folder, expected a YAML file" : "is no regular file, expected a YAML file");
  } else if (status.st_size > kMaxYamlBytes) {
    errors.emplace_back(Exit::kUsage, path, fmt::format("{} bytes, expected at most {}", status.st_size, kMaxYamlBytes), "is this a YAML file?");
  } else {
    text.resize(static_cast<std::size_t>(status.st_size));
    std::size_t done = 0;
    while (done < text.size()) {
      const auto got = ::read(file, text.data() + done, text.size() - done);
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    text.resize(done);
  }
  ::close(file);
  return parse_yaml(text, path, errors);
}

nlohmann::json yaml_json(const Value& value, const std::string& name) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return nullptr;
    case Value::Kind::kList: {
      auto list = nlohmann::json::array();
      for (const Value& item : value.items) list.push_back(yaml_json(item, name));
      return list;
    }
    case Value::Kind::kMap: {
      auto map = nlohmann::json::object();
      for (std::size_t i = 0; i < value.keys.size(); ++i) map[value.keys[i].text] = yaml_json(value.items[i], name);
      return map;
    }
    case Value::Kind::kScalar:
      break;
  }
  if (!value.plain) return value.text;
  if (value.text == "true") return true;
  if (value.text == "false") return false;
  if (has_leading_zero(value.text))
    throw Error(Exit::kUsage, fmt::format("{}:{}:{}", name, value.line, value.column), fmt::format("'{}' has a leading zero", value.text),
                "drop it, or quote the text");
  if (const auto integer = parse_integer(value.text)) return *integer;
  if (const auto number = parse_number(value.text)) return *number;
  return value.text;
}

nlohmann::json json_from_yaml(const std::string& text, const std::string& name) {
  std::vector<Error> errors;
  const Value root = parse_yaml(text, name, errors);
  throw_errors(errors);
  return yaml_json(root, name);
}

std::string yaml_string(std::string_view text) {
  static constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:{}@%=()*<>,|^ ";
  static constexpr std::string_view begin = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_.(";
  const std::string whole(text);
  bool plain = !text.empty() && begin.find(text.front()) != std::string_view::npos && text.back() != ' ' && text.back() != ':' &&
               text.find_first_not_of(safe) == std::string_view::npos && text.find(": ") == std::string_view::npos &&
               text.find_first_of("{},") == std::string_view::npos;
  // YAML 1.1 readers take these for booleans and nulls.
  for (const char* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
    if (plain && strcasecmp(whole.c_str(), word) == 0) plain = false;
  if (plain && (parse_number(whole) || whole.front() == '.'))
    plain = whole.front() == '.' && (whole.compare(0, 2, "./") == 0 || whole.compare(0, 3, "../") == 0);
  return plain ? whole : nlohmann::json(whole).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string yaml_number(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = fmt::format("{}", value);
  // YAML 1.1 readers take 1e-08 for a text: they want the dot.
  if (const std::size_t e = text.find('e'); e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

std::string yaml_text(const nlohmann::json& json, const std::vector<std::string>& first, const std::vector<std::string>& last) {
  std::string out;
  if (!json.is_object() || json.empty()) {
    emit(out, json, 0);
    return out;
  }
  const auto listed = [](const std::vector<std::string>& keys, const std::string& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  for (const std::string& key : first)
    if (json.contains(key)) emit_member(out, key, json[key], 0);
  for (const auto& [key, value] : json.items())
    if (!listed(first, key) && !listed(last, key)) emit_member(out, key, value, 0);
  for (const std::string& key : last)
    if (json.contains(key)) emit_member(out, key, json[key], 0);
  return out;
}

}  // namespace ds::core
