// The result record and options as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>

#include "base/core/config.h"
#include "base/core/tool.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

Json absolute_place(const std::string& name, const std::string& path, const std::string& digest) {
  std::error_code gone;  // the working folder may be
  const std::string absolute = std::filesystem::absolute(path, gone).lexically_normal().string();
  Json place{{"name", name}, {"path", path == "-" || path.empty() || gone ? path : absolute}};
  if (!digest.empty()) place["digest"] = digest;
  return place;
}

/// JSON has no infinities: they are the words that YAML has for them.
Json finite_json(Json value) {
  if (value.is_array())
    for (auto& item : value) item = finite_json(item);
  if (value.is_number_float() && !std::isfinite(value.get<double>())) return yaml_number(value.get<double>());
  return value;
}

Value value_of(const Json& json) {
  Value value;
  if (json.is_null()) return value;
  if (json.is_object()) {
    value.kind = Value::Kind::kMap;
    for (const auto& [key, item] : json.items()) {
      value.keys.push_back(Value::scalar(key, false));
      value.items.push_back(value_of(item));
    }
  } else if (json.is_array()) {
    value.kind = Value::Kind::kList;
    for (const auto& item : json) value.items.push_back(value_of(item));
  } else if (json.is_string()) {
    value = Value::scalar(json.get<std::string>(), false);
    value.plain = value.text == ".inf" || value.text == "-.inf" || value.text == ".nan";
  } else {
    value = Value::scalar(json.is_number_float() ? yaml_number(json.get<double>()) : json.dump(), false);
  }
  return value;
}

Invocation& current() {
  static Invocation invocation;
  return invocation;
}

}  // namespace

void Record::input(const std::string& name, const std::string& path, const std::string& digest) {
  fields["inputs"].push_back(absolute_place(name, path, digest));
}

void Record::output(const std::string& name, const std::string& path, const std::string& digest) {
  fields["outputs"].push_back(absolute_place(name, path, digest));
}

const Invocation& invocation() { return current(); }
void set_invocation(Invocation invocation) { current() = std::move(invocation); }

std::string record_text(const Json& record, const std::string& format) {
  if (format == "json") return record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return yaml_text(record, {"schema", "status", "error", "tool", "version", "inputs", "outputs", "metrics"},
                   {"config", "config_digest", "command", "versions", "isa", "threads", "device", "elapsed_s"});
}

Json to_json(Options& options, bool with_flags) {
  const Fields fields = walk(options);
  Json json = Json::object();
  for (const Entry& entry : fields.entries()) {
    if (entry.field.flag_only && !with_flags) continue;
    Json* place = &json;
    std::size_t start = 0;
    for (std::size_t dot = entry.path.find('.'); dot != std::string::npos; dot = entry.path.find('.', start)) {
      place = &(*place)[entry.path.substr(start, dot - start)];
      start = dot + 1;
    }
    (*place)[entry.path.substr(start)] = finite_json(entry_json(entry));
  }
  return json;
}

void from_json(Options& options, const Json& values, const std::string& where) {
  std::vector<Error> errors;
  const auto source = std::make_shared<const Source>(Source{Source::Kind::kJson, where, ""});
  apply_settings(options, settings_of(value_of(values), source, errors), errors);
  throw_errors(errors);
}

}  // namespace ds::core
