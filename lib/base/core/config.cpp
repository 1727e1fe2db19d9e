#include "base/core/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/core/values.h"

namespace ds::core {
namespace {

void flatten(const Value& map, const std::string& prefix, const std::vector<Setting::Step>& steps, const std::shared_ptr<const Source>& source,
             std::vector<Setting>& out) {
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    const Value& value = map.items[i];
    const std::string path = prefix.empty() ? map.keys[i].text : prefix + "." + map.keys[i].text;
    std::vector<Setting::Step> here = steps;
    here.push_back({path, map.keys[i].line, map.keys[i].column, value.kind == Value::Kind::kMap});
    if (value.kind == Value::Kind::kMap && !value.keys.empty()) {
      flatten(value, path, here, source, out);
    } else {
      out.push_back({path, value, std::move(here), source});
    }
  }
}

bool is_below(const std::string& path, const std::string& group) {
  return path.size() > group.size() && path[group.size()] == '.' && path.compare(0, group.size(), group) == 0;
}

}  // namespace

std::string Setting::where(int line, int column) const {
  return source->kind == Source::Kind::kFile && line > 0 ? fmt::format("{}:{}:{}", source->name, line, column) : source->name;
}

std::string Setting::origin() const {
  return source->kind == Source::Kind::kFile && !steps.empty() ? fmt::format("{}:{}", source->name, steps.back().line) : source->name;
}

KnownOptions::KnownOptions(Options& options) {
  const Fields fields = walk(options);
  add(fields, true);
  add(fields, false);
}

void KnownOptions::add(const Fields& fields, bool now) {
  for (const Entry& entry : fields.entries()) {
    if (now) {
      if (index_.emplace(entry.path, all.size()).second) all.push_back({entry, {}});
      continue;
    }
    const auto [found, fresh] = index_.emplace(entry.path, all.size());
    if (fresh) all.push_back({entry, {}});
    auto& known = all[found->second];
    if (!known.members.empty() || fresh) known.members.push_back(entry.member);
    if (entry.choice == nullptr) continue;
    for (const Card& card : cards(entry.choice->kind)) {
      if (card.name == entry.choice->name) continue;
      keepers.push_back(card.make_options());
      add(walk_member(entry, card, *keepers.back()), false);
    }
  }
}

const KnownOptions::Known* KnownOptions::find(const std::string& path) const {
  const auto found = index_.find(path);
  return found == index_.end() ? nullptr : &all[found->second];
}

std::string folded_path(std::string path) {
  std::replace(path.begin(), path.end(), '-', '_');
  return path;
}

std::vector<Setting> settings_of(const Value& root, std::shared_ptr<const Source> source, std::vector<Error>& errors) {
  std::vector<Setting> settings;
  if (root.kind == Value::Kind::kNull) return settings;
  if (root.kind != Value::Kind::kMap) {
    errors.emplace_back(Exit::kUsage, root.line > 0 ? fmt::format("{}:{}:{}", source->name, root.line, root.column) : source->name,
                        fmt::format("expected a map of keys, got {}", root.kind == Value::Kind::kList ? "a list" : "a single value"));
    return settings;
  }
  flatten(root, "", {}, source, settings);
  // yaml.cpp finds keys that stand twice in one map; "optim.lr" may also be written in two ways.
  std::map<std::string, std::size_t> seen;
  std::vector<Setting> unique;
  const auto same_steps = [](const Setting& a, const Setting& b) {
    return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(), [](const auto& x, const auto& y) { return x.path == y.path; });
  };
  for (Setting& setting : settings) {
    const auto [found, fresh] = seen.emplace(setting.path, unique.size());
    if (fresh) {
      unique.push_back(std::move(setting));
    } else if (const Setting& other = unique[found->second]; !same_steps(setting, other)) {
      errors.emplace_back(Exit::kUsage, setting.where(), fmt::format("duplicate key '{}', first in line {}", setting.path, other.steps.back().line));
    }
  }
  return unique;
}

std::vector<Setting> file_settings(const std::string& path, std::vector<Error>& errors) {
  if (path == "-") {
    errors.emplace_back(Exit::kUsage, "--config", "'-' is not supported for configs", "write it to a file");
    return {};
  }
  const Value root = read_yaml(path, errors);
  return settings_of(root, std::make_shared<const Source>(Source{Source::Kind::kFile, path, std::filesystem::path(path).parent_path().string()}),
                     errors);
}

std::vector<Setting> set_settings(const std::string& text, std::vector<Error>& errors) {
  const std::size_t equal = text.find('=');
  if (equal == std::string::npos || equal == 0) {
    errors.emplace_back(Exit::kUsage, "--set", fmt::format("expected KEY=VALUE, got '{}'", text));
    return {};
  }
  const std::string key = text.substr(0, equal), given = text.substr(equal + 1);
  const auto source = std::make_shared<const Source>(Source{Source::Kind::kSet, "--set " + key, ""});
  const bool yaml = given == "null" || given == "~" || (!given.empty() && std::string("[{\"'").find(given[0]) != std::string::npos);
  Value value = yaml ? parse_yaml(given, source->name, errors) : Value::scalar(given);
  Value root;
  root.kind = Value::Kind::kMap;
  root.keys = {Value::scalar(key)};
  root.items = {std::move(value)};
  return settings_of(root, source, errors);
}

std::vector<Setting> environment_settings(const KnownOptions& known, char** environment, std::vector<Error>& errors) {
  static const std::string prefix = "DS_OPT_";
  std::map<std::string, std::string> paths;  // as a variable -> path
  std::vector<std::string> names;
  for (const auto& option : known.all) {
    if (option.entry.path == "config" || option.entry.path == "set") continue;  // they are no values, they bring some
    std::string name;
    for (const char c : folded_path(option.entry.path)) name += c == '.' ? std::string("__") : std::string(1, static_cast<char>(std::toupper(c)));
    if (paths.emplace(prefix + name, option.entry.path).second) names.push_back(prefix + name);
  }
  std::vector<Setting> settings;
  for (char** variable = environment; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (text.compare(0, prefix.size(), prefix) != 0) continue;
    const std::size_t equal = text.find('=');
    const std::string name = text.substr(0, equal);
    const auto found = paths.find(name);
    if (found == paths.end()) {
      const std::string guess = nearest(name, names);
      errors.emplace_back(Exit::kUsage, name, fmt::format("no such option{}", guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
                          "unset it");
      continue;
    }
    settings.push_back({found->second,
                        Value::scalar(text.substr(equal + 1)),
                        {{found->second, 0, 0, false}},
                        std::make_shared<const Source>(Source{Source::Kind::kEnvironment, name, ""})});
  }
  // The environment's own order says nothing.
  std::sort(settings.begin(), settings.end(), [](const Setting& a, const Setting& b) { return a.path < b.path; });
  return settings;
}

namespace {

/// All errors at once, but not a million of a file that is something else.
constexpr std::size_t kMaxReported = 1000;

/// Walks through what is to be set; one object a call of apply_settings.
class Applier {
 public:
  Applier(Options& options, const std::vector<Setting>& settings, std::vector<Error>& errors) : options_(options), errors_(errors) {
    drop_unset(settings);
  }

  void choose() {
    std::set<std::string> done;
    for (bool again = true; again;) {
      again = false;
      const Fields fields = walk(options_);
      for (const Entry& entry : fields.entries()) {
        if (entry.choice == nullptr || !done.insert(entry.path).second) continue;
        const Setting* setting = last(entry.path);
        if (setting == nullptr || setting->value.kind != Value::Kind::kScalar) continue;
        const std::string name = setting->value.text == "none" && entry.choice->allow_none ? "" : setting->value.text;
        if (name == entry.choice->name) continue;
        const std::string before = entry.choice->name;
        try {
          entry.choice->select(name);
          switched_[entry.group + "/" + entry.choice->kind] = setting->source->name;
          again = true;  // the options that follow are others now
          break;
        } catch (const Error& e) {
          errors_.emplace_back(e.code(), setting->where(setting->value.line, setting->value.column), e.message(), e.hint());
          failed_.insert(entry.path);
          failed_groups_.insert(entry.group);
        }
      }
    }
  }

  std::map<std::string, std::string> assign_all() {
    known_ = std::make_unique<KnownOptions>(options_);
    for (const auto& option : known_->all) note_groups(option.entry.path);
    std::map<std::string, std::string> origins;
    for (const Setting& setting : settings_) {
      if (reported_.size() >= kMaxReported) break;
      if (failed_.count(setting.path) > 0) continue;
      const auto* option = known_->find(setting.path);
      if (const auto* pairs = option == nullptr ? pairs_above(setting.path) : nullptr) {
        if (set_pair(*pairs, setting)) origins[pairs->path] = setting.origin();
        continue;
      }
      if (option == nullptr || !option->members.empty() || setting.value.kind == Value::Kind::kMap) {
        explain(setting, option);
        continue;
      }
      if (setting.value.kind == Value::Kind::kNull) continue;  // back to the default: nothing was set
      if (set(option->entry, setting)) origins[setting.path] = setting.origin();
    }
    return origins;
  }

 private:
  /// A null takes back what came before it, for its key and all below; what is taken back is not applied.
  void drop_unset(const std::vector<Setting>& settings) {
    for (const Setting& setting : settings) {
      if (setting.value.kind == Value::Kind::kNull)
        settings_.erase(std::remove_if(settings_.begin(), settings_.end(),
                                       [&](const Setting& old) { return old.path == setting.path || is_below(old.path, setting.path); }),
                        settings_.end());
      settings_.push_back(setting);
    }
  }

  const Setting* last(const std::string& path) const {
    const Setting* found = nullptr;
    for (const Setting& setting : settings_)
      if (setting.path == path) found = &setting;
    return found != nullptr && found->value.kind != Value::Kind::kNull ? found : nullptr;
  }

  void note_groups(const std::string& path) {
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) groups_.insert(path.substr(0, dot));
  }

  void fail(std::string where, std::string what, std::string hint = "") {
    if (reported_.insert(where + "\n" + what).second) errors_.emplace_back(Exit::kUsage, std::move(where), std::move(what), std::move(hint));
  }

  static bool names_key(const Setting& setting) { return setting.source->kind == Source::Kind::kFile || setting.source->kind == Source::Kind::kJson; }

  bool set(const Entry& entry, const Setting& setting) {
    const auto kind = setting.source->kind;
    if (entry.field.flag_only && (kind == Source::Kind::kFile || kind == Source::Kind::kSet)) {
      fail(setting.where(), fmt::format("'{}' is no part of a config", setting.path),
           entry.field.positional ? fmt::format("give it on the command line") : fmt::format("give it as --{}", entry.path));
      return false;
    }
    if (entry.choice != nullptr) return true;  // done by choose()
    Value value = setting.value;
    if (entry.field.path && kind == Source::Kind::kFile) resolve(value, setting.source->folder);
    if (const auto problem = assign(entry, value)) {
      const Value& at = *problem->at;
      fail(setting.where(at.line, at.column), (names_key(setting) ? fmt::format("key '{}': ", setting.path) : "") + problem->what, problem->hint);
      return false;
    }
    return true;
  }

  /// The option of NAME=VALUE pairs, there now, that has this path as one of its names.
  const Entry* pairs_above(const std::string& path) const {
    const std::size_t dot = path.rfind('.');
    const auto* option = dot == std::string::npos ? nullptr : known_->find(path.substr(0, dot));
    return option != nullptr && option->members.empty() && is_pairs(option->entry) ? &option->entry : nullptr;
  }

  /// `key.name = value` as the pair `name=value`: the later one of a name holds.
  bool set_pair(const Entry& entry, const Setting& setting) {
    auto& list = *std::get<std::vector<std::string>*>(entry.target);
    const std::string start = setting.path.substr(entry.path.size() + 1) + "=";
    list.erase(std::remove_if(list.begin(), list.end(), [&](const std::string& pair) { return pair.compare(0, start.size(), start) == 0; }), list.end());
    if (setting.value.kind == Value::Kind::kNull) return false;
    if (setting.value.kind == Value::Kind::kMap) {
      fail(setting.where(), fmt::format("key '{}': expected a value, got a map", setting.path));
      return false;
    }
    list.push_back(start + (setting.value.kind == Value::Kind::kScalar ? setting.value.text : yaml_json(setting.value, setting.where()).dump()));
    return true;
  }

  static void resolve(Value& value, const std::string& folder) {
    for (Value& item : value.items) resolve(item, folder);
    if (value.kind != Value::Kind::kScalar || value.text.empty() || value.text == "-" || value.text[0] == '/' || folder.empty()) return;
    value.text = (std::filesystem::path(folder) / value.text).lexically_normal().string();
  }

  /// Says what is wrong with a setting whose path is not an option that is there now.
  void explain(const Setting& setting, const KnownOptions::Known* option) {
    if (setting.value.kind == Value::Kind::kNull && (option != nullptr || groups_.count(setting.path) > 0)) return;
    for (const auto& step : setting.steps) {
      const auto* found = known_->find(step.path);
      if (found != nullptr && step.map)
        return fail(setting.where(step.line, step.column), fmt::format("key '{}': expected {}, got a map", step.path, type_text(found->entry)));
      if (found == nullptr && groups_.count(step.path) == 0) return unknown(setting, step);
    }
    if (option != nullptr) return foreign(setting, *option);
    if (setting.value.kind == Value::Kind::kMap) return;  // an empty group
    fail(setting.where(), fmt::format("'{}' is a group of options, expected a map", setting.path), keys_in(setting.path));
  }

  void unknown(const Setting& setting, const Setting::Step& step) {
    const std::string guess = suggestion(step.path);
    const std::size_t dot = step.path.rfind('.');
    fail(setting.where(step.line, step.column), fmt::format("unknown key '{}'{}", step.path, guess),
         guess.empty() ? keys_in(dot == std::string::npos ? "" : step.path.substr(0, dot)) : "");
  }

  void foreign(const Setting& setting, const KnownOptions::Known& option) {
    const auto& entry = option.entry;
    if (failed_groups_.count(entry.group) > 0) return;  // its choice is unknown: that is the error
    std::string now = "none";
    const Fields fields = walk(options_);
    for (const Entry& other : fields.entries())
      if (other.choice != nullptr && other.choice->kind == entry.kind && (other.group == entry.group || is_below(entry.group, other.group)))
        now = other.choice->name.empty() ? "none" : other.choice->name;
    std::vector<std::string> members = option.members;
    for (std::string& member : members) member = "'" + member + "'";
    const auto switched = switched_.find(entry.group + "/" + entry.kind);
    const bool by_other = switched != switched_.end() && switched->second != setting.source->name;
    fail(setting.where(), fmt::format("key '{}' belongs to {} {}, not '{}'", setting.path, entry.kind, fmt::join(members, ", "), now),
         by_other ? fmt::format("{} chose '{}'; --set {}=null drops it", switched->second, now, setting.path) : "");
  }

  std::string suggestion(const std::string& path) const {
    std::vector<std::string> names(groups_.begin(), groups_.end());
    for (const auto& option : known_->all)
      if (option.members.empty() && !option.entry.field.flag_only) names.push_back(option.entry.path);
    for (const auto& option : known_->all)
      if (!option.members.empty()) names.push_back(option.entry.path);
    std::string guess = nearest(path, names);
    const std::string tail = path.substr(path.rfind('.') + 1);
    for (const auto& option : known_->all) {
      if (!guess.empty()) break;
      const std::string& other = option.entry.path;
      if (other != path &&
          (folded_path(other.substr(other.rfind('.') + 1)) == folded_path(tail) || folded_path(option.entry.field.alias) == folded_path(tail)))
        guess = other;
    }
    return guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess);
  }

  /// "keys of 'optim' are name, lr"; of all for "".
  std::string keys_in(const std::string& group) const {
    std::vector<std::string> keys;
    for (const auto& option : known_->all) {
      const std::string& other = option.entry.path;
      if (option.entry.field.flag_only || !option.members.empty() || !(group.empty() || is_below(other, group))) continue;
      const std::size_t start = group.empty() ? 0 : group.size() + 1;
      const std::string key = other.substr(start, other.find('.', start) - start);
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
    return keys.empty() ? "" : fmt::format("keys {}are {}", group.empty() ? "" : fmt::format("of '{}' ", group), fmt::join(keys, ", "));
  }

  Options& options_;
  std::vector<Error>& errors_;
  std::vector<Setting> settings_;
  std::unique_ptr<KnownOptions> known_;
  std::set<std::string> failed_, failed_groups_, groups_, reported_;
  std::map<std::string, std::string> switched_;  ///< group/kind -> source that chose its member
};

struct Tree {
  std::string key;
  std::vector<Tree> children;
  const Entry* entry = nullptr;
};

void insert(Tree& tree, const std::string& path, const Entry& entry) {
  const std::size_t dot = path.find('.');
  const std::string key = path.substr(0, dot);
  auto found = std::find_if(tree.children.begin(), tree.children.end(), [&](const Tree& child) { return child.key == key; });
  if (found == tree.children.end()) found = tree.children.insert(found, Tree{key, {}, nullptr});
  if (dot == std::string::npos) {
    found->entry = &entry;
  } else {
    insert(*found, path.substr(dot + 1), entry);
  }
}

std::string config_value(const Entry& entry) {
  nlohmann::json value = entry_json(entry);
  const auto absolute = [](nlohmann::json& path) {
    const std::string text = path.get<std::string>();
    if (!text.empty() && text != "-" && text[0] != '/') path = std::filesystem::absolute(text).lexically_normal().string();
  };
  if (entry.field.path && value.is_string()) absolute(value);
  if (entry.field.path && value.is_array())
    for (auto& item : value) absolute(item);
  if (entry.choice != nullptr && entry.choice->name.empty()) value = "none";
  std::string text = yaml_text(value);
  text.pop_back();
  return text;
}

void print_tree(std::string& out, const Tree& tree, int indent, const std::map<std::string, std::string>& origins, bool docs) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  for (const Tree& child : tree.children) {
    if (child.entry == nullptr) {
      out += margin + child.key + ":\n";
      print_tree(out, child, indent + 2, origins, docs);
      continue;
    }
    if (docs) out += fmt::format("{}# {}\n", margin, child.entry->field.doc);
    const std::string line = fmt::format("{}{}: {}", margin, child.key, config_value(*child.entry));
    const auto origin = origins.find(child.entry->path);
    out += docs ? line + "\n" : fmt::format("{:<40}  # {}\n", line, origin == origins.end() ? "default" : origin->second);
  }
}

}  // namespace

std::map<std::string, std::string> apply_settings(Options& options, const std::vector<Setting>& settings, std::vector<Error>& errors) {
  Applier applier(options, settings, errors);
  applier.choose();
  return applier.assign_all();
}

void apply_choices(Options& options, const std::vector<Setting>& settings) {
  std::vector<Error> ignored;
  Applier(options, settings, ignored).choose();
}

std::string print_config(Options& options, const std::map<std::string, std::string>& origins, bool docs) {
  const Fields fields = walk(options);
  Tree root;
  for (const Entry& entry : fields.entries())
    if (!entry.field.flag_only) insert(root, entry.path, entry);
  std::string out;
  print_tree(out, root, 0, origins, docs);
  return out;
}

}  // namespace ds::core
