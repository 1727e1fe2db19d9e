#include "base/commands/tune_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/core/registry.h"
#include "base/core/yaml.h"

namespace ds::commands {
namespace tune_space {

/// Sets a dotted path in a nested map. A value that stands where a map has to be gives way.
void put(Json& root, const std::string& path, const Json& value) {
  Json* place = &root;
  std::size_t start = 0;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; start = dot + 1, dot = path.find('.', start)) {
    place = &(*place)[path.substr(start, dot - start)];
    if (!place->is_object()) *place = Json::object();
  }
  (*place)[path.substr(start)] = value;
}

const Json* get(const Json& root, const std::string& path) {
  const Json* place = &root;
  std::size_t start = 0;
  while (place->is_object()) {
    const std::size_t dot = path.find('.', start);
    const auto found = place->find(path.substr(start, dot == std::string::npos ? dot : dot - start));
    if (found == place->end()) return nullptr;
    place = &*found;
    if (dot == std::string::npos) return place;
    start = dot + 1;
  }
  return nullptr;
}

const char* type_name(TuneParameter::Type type) {
  return type == TuneParameter::Type::kFloat ? "float" : type == TuneParameter::Type::kInt ? "int" : "categorical";
}

/// Reads one file; what is wrong goes to `errors`.
class Reader {
 public:
  Reader(std::string path, std::vector<Error>& errors) : path_(std::move(path)), errors_(errors) {}

  TuneSpace read() {
    TuneSpace space;
    const core::Value root = core::read_yaml(path_, errors_);
    if (!errors_.empty()) return space;
    if (root.kind != core::Value::Kind::kMap) {
      errors_.emplace_back(Exit::kUsage, path_, "is no map of keys", "a space has the keys metric and parameters");
      return space;
    }
    const auto keys = members(root, "", {"metric", "parameters", "base", "fixed", "default"});
    for (const char* key : {"metric", "parameters"})
      if (keys.count(key) == 0) errors_.emplace_back(Exit::kUsage, path_, fmt::format("key '{}' is missing", key));
    if (keys.count("metric")) read_metric(*keys.at("metric"), space);
    if (keys.count("parameters")) read_parameters(*keys.at("parameters"), space);
    if (keys.count("base")) read_base(*keys.at("base"), space);
    const Json base = space.fixed;
    if (keys.count("fixed")) read_fixed(*keys.at("fixed"), space);
    if (keys.count("default"))
      read_default(*keys.at("default"), base, space);
    else if (errors_.empty())
      default_of_base(base, space);
    return space;
  }

 private:
  using Value = core::Value;
  using Members = std::map<std::string, const Value*>;

  void fail(const Value& at, std::string what, std::string hint = "") {
    errors_.emplace_back(Exit::kUsage, fmt::format("{}:{}:{}", path_, at.line, at.column), std::move(what), std::move(hint));
  }

  /// The members of a map that are among `allowed`.
  Members members(const Value& map, const std::string& prefix, const std::vector<std::string>& allowed) {
    Members found;
    if (map.kind != Value::Kind::kMap) {
      fail(map, fmt::format("{}: expected a map with the keys {}", prefix, fmt::join(allowed, ", ")));
      return found;
    }
    for (std::size_t i = 0; i < map.keys.size(); ++i) {
      const std::string& key = map.keys[i].text;
      if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) {
        found[key] = &map.items[i];
        continue;
      }
      const std::string guess = core::nearest(key, allowed);
      fail(map.keys[i], fmt::format("unknown key '{}{}{}'{}", prefix, prefix.empty() ? "" : ".", key,
                                   guess.empty() ? "" : fmt::format(" (did you mean '{}{}{}'?)", prefix, prefix.empty() ? "" : ".", guess)),
           guess.empty() ? fmt::format("known are {}", fmt::join(allowed, ", ")) : "");
    }
    return found;
  }

  /// The JSON of a value; null with an error put down where it has none.
  Json json(const Value& value) {
    try {
      return core::yaml_json(value, path_);
    } catch (const Error& e) {
      errors_.push_back(e);
      return nullptr;
    }
  }

  std::string text(const Value& value, const std::string& key) {
    if (value.kind == Value::Kind::kScalar && !value.text.empty()) return value.text;
    fail(value, fmt::format("{}: expected a word", key));
    return "";
  }

  double number(const Value& value, const std::string& key) {
    const Json given = value.kind == Value::Kind::kScalar ? json(value) : Json();
    if (given.is_number() && std::isfinite(given.get<double>())) return given.get<double>();
    fail(value, fmt::format("{}: expected a number{}", key, value.kind == Value::Kind::kScalar ? fmt::format(", got '{}'", value.text) : ""));
    return std::nan("");
  }

  bool boolean(const Value& value, const std::string& key) {
    const Json given = value.kind == Value::Kind::kScalar ? json(value) : Json();
    if (given.is_boolean()) return given.get<bool>();
    fail(value, fmt::format("{}: expected true or false", key));
    return false;
  }

  void read_metric(const Value& value, TuneSpace& space) {
    const Members keys = members(value, "metric", {"name", "goal"});
    if (keys.count("name")) space.metric = text(*keys.at("name"), "metric.name");
    else if (value.kind == Value::Kind::kMap) fail(value, "key 'metric.name' is missing");
    if (!keys.count("goal")) {
      if (value.kind == Value::Kind::kMap) fail(value, "key 'metric.goal' is missing", "maximize or minimize");
      return;
    }
    const std::string goal = text(*keys.at("goal"), "metric.goal");
    if (goal != "maximize" && goal != "minimize" && !goal.empty())
      fail(*keys.at("goal"), fmt::format("metric.goal: expected maximize or minimize, got '{}'", goal));
    space.maximize = goal != "minimize";
  }

  void read_parameters(const Value& value, TuneSpace& space) {
    if (value.kind != Value::Kind::kMap || value.keys.empty()) return fail(value, "parameters: expected a map of at least one parameter");
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      const std::string& path = value.keys[i].text;
      bool good = path.front() != '.' && path.back() != '.' && path.find("..") == std::string::npos;
      if (!good) fail(value.keys[i], fmt::format("parameter '{}': expected a dotted key such as optim.lr", path));
      for (const TuneParameter& other : space.parameters)
        if (path.compare(0, other.path.size() + 1, other.path + ".") == 0 || other.path.compare(0, path.size() + 1, path + ".") == 0)
          fail(value.keys[i], fmt::format("parameters '{}' and '{}': one is inside the other", other.path, path));
      const std::size_t before = errors_.size();
      TuneParameter parameter = read_parameter(path, value.items[i]);
      if (good && errors_.size() == before) places_[path] = value.keys[i], space.parameters.push_back(std::move(parameter));
    }
  }

  TuneParameter read_parameter(const std::string& path, const Value& value) {
    TuneParameter p;
    p.path = path;
    std::string type;
    for (std::size_t i = 0; value.kind == Value::Kind::kMap && i < value.keys.size(); ++i)
      if (value.keys[i].text == "type") type = text(value.items[i], path + ".type");
    const std::vector<std::string> types = {"float", "int", "categorical", "bool"};
    if (value.kind == Value::Kind::kMap && std::find(types.begin(), types.end(), type) == types.end()) {
      fail(value, type.empty() ? fmt::format("key '{}.type' is missing", path) : fmt::format("{}.type: unknown type '{}'", path, type),
           fmt::format("known are {}", fmt::join(types, ", ")));
      return p;
    }
    p.type = type == "float" ? TuneParameter::Type::kFloat : type == "int" ? TuneParameter::Type::kInt : TuneParameter::Type::kCategorical;
    if (type == "bool") p.values = {false, true};
    const std::vector<std::string> allowed = type == "bool" ? std::vector<std::string>{"type"}
                                             : p.categorical() ? std::vector<std::string>{"type", "values"}
                                                               : std::vector<std::string>{"type", "low", "high", "step", "log"};
    const std::size_t before = errors_.size();
    const Members keys = members(value, path, allowed);
    if (type == "categorical") {
      if (keys.count("values")) read_values(*keys.at("values"), p);
      else if (errors_.size() == before) fail(value, fmt::format("key '{}.values' is missing", path));
    } else if (type != "bool") {
      read_range(value, keys, p, before);
    }
    return p;
  }

  void read_values(const Value& value, TuneParameter& p) {
    if (value.kind != Value::Kind::kList || value.items.empty()) return fail(value, fmt::format("{}.values: expected a list of at least one value", p.path));
    for (const Value& item : value.items) {
      const Json given = json(item);
      if (std::find(p.values.begin(), p.values.end(), given) != p.values.end())
        fail(item, fmt::format("{}.values: {} stands there twice", p.path, given.dump()));
      p.values.push_back(given);
    }
  }

  void read_range(const Value& value, const Members& keys, TuneParameter& p, std::size_t before) {
    for (const char* key : {"low", "high"})
      if (!keys.count(key) && value.kind == Value::Kind::kMap) fail(value, fmt::format("key '{}.{}' is missing", p.path, key));
    if (keys.count("low")) p.low = number(*keys.at("low"), p.path + ".low");
    if (keys.count("high")) p.high = number(*keys.at("high"), p.path + ".high");
    if (keys.count("log")) p.log = boolean(*keys.at("log"), p.path + ".log");
    const bool is_int = p.type == TuneParameter::Type::kInt;
    p.step = keys.count("step") ? number(*keys.at("step"), p.path + ".step") : is_int ? 1 : 0;
    if (errors_.size() != before) return;
    for (const char* key : {"low", "high", "step"}) {
      if (!is_int || !keys.count(key)) continue;
      const double x = number(*keys.at(key), key);
      if (x != std::floor(x) || std::abs(x) > 9e15) fail(*keys.at(key), fmt::format("{}.{}: expected an integer, got '{}'", p.path, key, keys.at(key)->text));
    }
    if (!(p.low < p.high)) fail(*keys.at("high"), fmt::format("{}: high {} is not above low {}", p.path, p.high, p.low));
    if (p.log && p.low <= 0) fail(*keys.at("low"), fmt::format("{}: low {} of a logarithmic range, expected more than 0", p.path, p.low));
    if (!keys.count("step")) return;
    const double steps = (p.high - p.low) / p.step;
    if (!(p.step > 0)) fail(*keys.at("step"), fmt::format("{}: step {}, expected more than 0", p.path, p.step));
    else if (p.low < p.high && std::abs(steps - std::round(steps)) > 1e-9 * steps + 1e-12)
      fail(*keys.at("step"), fmt::format("{}: step {} does not lead from {} to {}", p.path, p.step, p.low, p.high),
           fmt::format("such as high: {:.12g}", p.low + std::floor(steps) * p.step));
  }

  /// Leaves of a map by dotted path; keys may be dotted themselves.
  void flatten(const Value& value, const std::string& prefix, const std::string& group, std::vector<std::pair<std::string, const Value*>>& out) {
    if (value.kind != Value::Kind::kMap) return fail(value, fmt::format("{}: expected a map of keys", group));
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      const std::string path = prefix + value.keys[i].text;
      if (value.items[i].kind == Value::Kind::kMap && !value.items[i].keys.empty()) {
        flatten(value.items[i], path + ".", group, out);
        continue;
      }
      for (const auto& [other, item] : out)
        if (other == path) fail(value.keys[i], fmt::format("{}: key '{}' stands there twice, first in line {}", group, path, item->line));
      out.emplace_back(path, &value.items[i]);
    }
  }

  void read_base(const Value& value, TuneSpace& space) {
    std::filesystem::path path = text(value, "base");
    if (path.empty()) return;
    if (path.is_relative()) path = std::filesystem::path(path_).parent_path() / path;
    Reader reader(path.lexically_normal().string(), errors_);
    const std::size_t before = errors_.size();
    const Value root = core::read_yaml(reader.path_, errors_);
    if (errors_.size() != before || root.kind == Value::Kind::kNull) return;
    std::vector<std::pair<std::string, const Value*>> leaves;
    reader.flatten(root, "", "the base", leaves);
    for (const auto& [key, leaf] : leaves) put(space.fixed, key, reader.json(*leaf));
  }

  void read_fixed(const Value& value, TuneSpace& space) {
    std::vector<std::pair<std::string, const Value*>> leaves;
    flatten(value, "", "fixed", leaves);
    for (const auto& [key, leaf] : leaves) {
      for (const auto& [path, place] : places_)
        if (key == path || key.compare(0, path.size() + 1, path + ".") == 0 || path.compare(0, key.size() + 1, key + ".") == 0)
          fail(*leaf, fmt::format("fixed: '{}' is the parameter '{}' of line {}", key, path, place.line));
      put(space.fixed, key, json(*leaf));
    }
  }

  void read_default(const Value& value, const Json& base, TuneSpace& space) {
    std::vector<std::pair<std::string, const Value*>> leaves;
    const std::size_t before = errors_.size();
    flatten(value, "", "default", leaves);
    Json first = Json::object();
    std::vector<std::string> paths;
    for (const TuneParameter& p : space.parameters) paths.push_back(p.path);
    for (const auto& [key, leaf] : leaves) {
      const auto found = std::find(paths.begin(), paths.end(), key);
      if (found == paths.end()) {
        const std::string guess = core::nearest(key, paths);
        fail(*leaf, fmt::format("default: '{}' is no parameter{}", key, guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)));
        continue;
      }
      first[key] = json(*leaf);
      const std::string problem = space.parameters[static_cast<std::size_t>(found - paths.begin())].problem(first[key]);
      if (!problem.empty()) fail(*leaf, fmt::format("default: {}: {}", key, problem));
    }
    for (const TuneParameter& p : space.parameters) {
      if (first.contains(p.path)) continue;
      const Json* given = get(base, p.path);
      if (given != nullptr && p.problem(*given).empty()) first[p.path] = *given;
      else fail(value, fmt::format("default: parameter '{}' is missing", p.path));
    }
    if (errors_.size() == before) space.first = canonical(space, first);
  }

  void default_of_base(const Json& base, TuneSpace& space) {
    Json first = Json::object();
    for (const TuneParameter& p : space.parameters) {
      const Json* given = get(base, p.path);
      if (given == nullptr || !p.problem(*given).empty()) return;
      first[p.path] = *given;
    }
    space.first = canonical(space, first);
  }

  /// Numbers with the type of their parameter: 1 of a float is 1.0.
  static Json canonical(const TuneSpace& space, Json configuration) {
    for (const TuneParameter& p : space.parameters) {
      Json& value = configuration[p.path];
      if (p.type == TuneParameter::Type::kFloat) value = value.get<double>();
      if (p.type == TuneParameter::Type::kInt) value = static_cast<std::int64_t>(value.get<double>());
    }
    return configuration;
  }

  std::string path_;
  std::vector<Error>& errors_;
  std::map<std::string, core::Value> places_;  ///< keys of the parameters
};

}  // namespace tune_space

std::int64_t TuneParameter::count() const {
  if (categorical()) return static_cast<std::int64_t>(values.size());
  return step > 0 ? static_cast<std::int64_t>(std::llround((high - low) / step)) + 1 : 0;
}

Json TuneParameter::at(std::int64_t index) const {
  if (categorical()) return values[static_cast<std::size_t>(index)];
  const double value = low + static_cast<double>(index) * step;
  if (type == Type::kInt) return static_cast<std::int64_t>(value);
  return std::min(std::strtod(fmt::format("{:.12g}", value).c_str(), nullptr), high);
}

std::string TuneParameter::problem(const Json& value) const {
  if (categorical())
    return std::find(values.begin(), values.end(), value) != values.end() ? "" : fmt::format("{} is not among {}", value.dump(), Json(values).dump());
  if (!value.is_number()) return fmt::format("expected a number, got {}", value.dump());
  const double x = value.get<double>();
  if (!(x >= low && x <= high)) return fmt::format("{} is not in [{}, {}]", x, low, high);
  if (step == 0) return "";
  const double steps = (x - low) / step;
  return std::abs(steps - std::round(steps)) <= 1e-6 ? "" : fmt::format("{} is not {} plus a multiple of {}", x, low, step);
}

double TuneParameter::warp(double x) const { return log ? std::log(x) : x; }

double TuneParameter::encode(const Json& value) const {
  if (categorical()) return static_cast<double>(std::find(values.begin(), values.end(), value) - values.begin());
  // Half a step below low may be no positive number: then half of low has to do.
  const double from = warp(log ? std::max(low - step / 2, low / 2 * (step > 0 ? 1 : 2)) : low - step / 2), to = warp(high + step / 2);
  return std::clamp((warp(value.get<double>()) - from) / (to - from), 0.0, 1.0);
}

Json TuneParameter::decode(double place) const {
  if (categorical()) return at(std::clamp<std::int64_t>(std::llround(place), 0, count() - 1));
  const double from = warp(log ? std::max(low - step / 2, low / 2 * (step > 0 ? 1 : 2)) : low - step / 2), to = warp(high + step / 2);
  const double warped = from + std::clamp(place, 0.0, 1.0) * (to - from), x = log ? std::exp(warped) : warped;
  if (step > 0) return at(std::clamp<std::int64_t>(std::llround((x - low) / step), 0, count() - 1));
  return std::clamp(std::strtod(fmt::format("{:.6g}", x).c_str(), nullptr), low, high);
}

std::int64_t TuneSpace::size() const {
  double size = 1;
  for (const TuneParameter& p : parameters) size *= static_cast<double>(p.count());
  return size <= 9e15 ? static_cast<std::int64_t>(size) : 0;
}

std::vector<double> TuneSpace::encode(const Json& configuration) const {
  std::vector<double> places;
  for (const TuneParameter& p : parameters) places.push_back(p.encode(configuration.at(p.path)));
  return places;
}

Json TuneSpace::decode(const std::vector<double>& places) const {
  Json configuration = Json::object();
  for (std::size_t i = 0; i < parameters.size(); ++i) configuration[parameters[i].path] = parameters[i].decode(places[i]);
  return configuration;
}

Json TuneSpace::nested(const Json& configuration, bool with_fixed) const {
  Json root = with_fixed ? fixed : Json::object();
  for (const auto& [path, value] : configuration.items()) tune_space::put(root, path, value);
  return root;
}

Json TuneSpace::to_json() const {
  Json json{{"metric", {{"name", metric}, {"goal", maximize ? "maximize" : "minimize"}}}, {"fixed", fixed}, {"parameters", Json::array()}};
  if (first) json["default"] = *first;
  for (const TuneParameter& p : parameters) {
    Json entry{{"path", p.path}, {"type", tune_space::type_name(p.type)}};
    if (p.categorical()) entry["values"] = p.values;
    else entry.update({{"low", p.low}, {"high", p.high}, {"step", p.step}, {"log", p.log}});
    json["parameters"].push_back(entry);
  }
  return json;
}

TuneSpace TuneSpace::from_json(const Json& json) {
  TuneSpace space;
  space.metric = json.at("metric").at("name").get<std::string>();
  space.maximize = json.at("metric").at("goal") == "maximize";
  space.fixed = json.at("fixed");
  if (json.contains("default")) space.first = json["default"];
  for (const Json& entry : json.at("parameters")) {
    TuneParameter p;
    p.path = entry.at("path").get<std::string>();
    const std::string type = entry.at("type").get<std::string>();
    p.type = type == "float" ? TuneParameter::Type::kFloat : type == "int" ? TuneParameter::Type::kInt : TuneParameter::Type::kCategorical;
    if (p.categorical()) p.values = entry.at("values").get<std::vector<Json>>();
    else p.low = entry.at("low"), p.high = entry.at("high"), p.step = entry.at("step"), p.log = entry.at("log");
    space.parameters.push_back(std::move(p));
  }
  return space;
}

TuneSpace TuneSpace::read(const std::string& path) {
  std::vector<Error> errors;
  TuneSpace space = tune_space::Reader(path, errors).read();
  throw_errors(errors);
  return space;
}

}  // namespace ds::commands
