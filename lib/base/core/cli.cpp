#include "base/core/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <set>

#include "base/core/values.h"

namespace ds::core {
namespace {

class Parser {
 public:
  explicit Parser(const KnownOptions& known) : known_(known) {
    app_.set_help_flag();
    app_.allow_extras();
    for (const Flag& flag : long_flags(known)) add(flag);
  }

  CommandLine parse(const std::vector<std::string>& arguments) {
    const auto end = std::find(arguments.begin(), arguments.end(), "--");
    std::vector<std::string> line;
    for (auto argument = arguments.begin(); argument != end; ++argument)
      for (std::string& word : spelled(*argument)) line.push_back(std::move(word));
    std::reverse(line.begin(), line.end());  // CLI11 takes them from the back
    try {
      app_.parse(line);
    } catch (const CLI::ArgumentMismatch& e) {
      const std::string text = e.what();
      fail(text.substr(0, text.find(':')), "needs a value");
      return std::move(result_);
    } catch (const CLI::ParseError& e) {
      fail("", e.what());
      return std::move(result_);
    }
    take_flags();
    std::vector<std::string> words;
    for (const std::string& word : app_.remaining()) {
      if (word.size() > 1 && word[0] == '-' && !parse_number(word)) {
        unknown(word);
      } else {
        words.push_back(word);
      }
    }
    std::vector<std::string> behind;
    if (end != arguments.end()) behind.assign(end + 1, arguments.end());
    for (const auto& option : known_.all) has_command_ = has_command_ || option.entry.field.behind_dashes;
    if (!has_command_) words.insert(words.end(), behind.begin(), behind.end());
    if (result_.errors.empty()) take_positionals(words, false);
    if (result_.errors.empty() && has_command_) take_positionals(behind, true);
    return std::move(result_);
  }

 private:
  void add(const Flag& flag) {
    const auto& entry = known_.find(flag.path)->entry;
    std::string names = "--" + flag.name;
    if (entry.field.letter != 0 && letters_.insert(entry.field.letter).second) names = std::string("-") + entry.field.letter + "," + names;
    spellings_.emplace(folded_path(flag.name), flag.name);
    CLI::Option* option = nullptr;
    if (flag.is_bool) {
      bools_.insert(flag.name);
      const std::string no = "no-" + flag.name;
      spellings_.emplace(folded_path(no), no);
      option = app_.add_flag(names);
      options_[app_.add_flag("--" + no)] = {flag.path, "--" + no};
    } else {
      option = app_.add_option(names)->expected(1);
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    options_[option] = {flag.path, "--" + flag.name};
  }

  /// A long flag as it was registered: `-` and `_` are one, a bool's `=value` becomes the flag or its opposite, another's a word of its own.
  std::vector<std::string> spelled(const std::string& argument) {
    if (argument.compare(0, 2, "--") != 0) return {argument};
    const std::size_t equal = argument.find('=');
    const auto found = spellings_.find(folded_path(argument.substr(2, equal == std::string::npos ? equal : equal - 2)));
    if (found == spellings_.end()) return {argument};
    const std::string &name = found->second, flag = "--" + name;
    if (equal == std::string::npos) return {flag};
    const std::string value = argument.substr(equal + 1);
    const bool no = is_no(flag);
    if (!no && !bools_.count(name)) return {flag, value};
    if (!no && (value == "true" || value == "false")) return {value == "true" ? flag : "--no-" + name};
    fail(flag, fmt::format("expected {}, got '{}'", no ? "no value" : "true or false", value));
    return {};
  }

  void take_flags() {
    std::map<const CLI::Option*, std::size_t> taken;
    for (const CLI::Option* option : app_.parse_order()) {
      const auto found = options_.find(option);
      if (found == options_.end()) continue;
      const auto& [path, name] = found->second;
      const std::size_t turn = taken[option]++;
      if (option->get_expected_max() == 0) {
        // A flag given twice is the same flag; CLI11 lists it once an occurrence.
        push(path, name, is_no(name) ? "false" : "true");
        continue;
      }
      const auto& values = option->results();
      if (turn < values.size()) take_value(path, name, values[turn]);
    }
  }

  bool is_no(const std::string& flag) const { return flag.compare(0, 5, "--no-") == 0 && bools_.count(flag.substr(5)) > 0; }

  void take_value(const std::string& path, const std::string& name, const std::string& value) {
    if (path == "config") {
      result_.configs.push_back(value);
    } else if (path == "set") {
      for (Setting& setting : set_settings(value, result_.errors)) result_.settings.push_back(std::move(setting));
    } else {
      push(path, name, value);
    }
  }

  /// A list grows with each time its flag is given; what config files and the environment say of it gives way to the first.
  bool append(const std::string& path, const std::string& text) {
    const auto before = std::find_if(result_.settings.rbegin(), result_.settings.rend(), [&](const Setting& s) { return s.path == path; });
    if (before == result_.settings.rend() || before->value.kind != Value::Kind::kScalar || before->source->kind != Source::Kind::kFlag) return false;
    if (text.empty() || before->value.text.empty()) before->value.text = text;
    else before->value.text += "," + text;
    return true;
  }

  void push(const std::string& path, const std::string& name, const std::string& text) {
    const auto* known = known_.find(path);
    if (known != nullptr && is_list(known->entry) && append(path, text)) return;
    result_.settings.push_back(
        {path, Value::scalar(text), {{path, 0, 0, false}}, std::make_shared<const Source>(Source{Source::Kind::kFlag, name, ""})});
  }

  /// Gives the words to the positionals in turn; `behind`: to the one that takes a command behind `--`.
  void take_positionals(const std::vector<std::string>& words, bool behind) {
    std::size_t next = 0;
    for (const auto& option : known_.all) {
      const Entry& entry = option.entry;
      if (!entry.field.positional || entry.field.behind_dashes != behind || next >= words.size()) continue;
      const std::string name = entry.field.value_name.empty() ? entry.field.name : entry.field.value_name;
      if (!is_list(entry)) {
        push(entry.path, name, words[next++]);
        continue;
      }
      // Not split at commas: these are words of the line.
      Value list;
      list.kind = Value::Kind::kList;
      for (; next < words.size(); ++next) list.items.push_back(Value::scalar(words[next]));
      result_.settings.push_back(
          {entry.path, std::move(list), {{entry.path, 0, 0, false}}, std::make_shared<const Source>(Source{Source::Kind::kFlag, name, ""})});
    }
    if (next < words.size())
      fail("", fmt::format("unexpected argument '{}'", words[next]), has_command_ && !behind ? "a command to run stands behind --" : "");
  }

  void unknown(const std::string& word) {
    const std::string flag = word.substr(0, word.find('='));
    std::vector<std::string> names;
    for (const auto& [folded, name] : spellings_) names.push_back(name);
    for (const char* name : {"help", "help-all", "version", "print-config", "generate", "list"}) names.emplace_back(name);
    const std::string bare = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    std::string guess = nearest(bare, names);
    if (flag[1] != '-' && guess != bare) guess.clear();  // of "-lr" only "--lr" is meant
    for (const auto& option : known_.all) {
      if (!guess.empty() || flag[1] != '-') break;
      const std::string& path = option.entry.path;
      if (folded_path(path.substr(path.rfind('.') + 1)) == folded_path(bare)) guess = path;
    }
    fail("", fmt::format("unknown flag '{}'{}", flag, guess.empty() ? "" : fmt::format(" (did you mean '--{}'?)", guess)),
         guess.empty() ? "--help-all lists them" : "");
  }

  void fail(std::string where, std::string what, std::string hint = "") {
    result_.errors.emplace_back(Exit::kUsage, std::move(where), std::move(what), std::move(hint));
  }

  struct Target {
    std::string path, name;
  };
  const KnownOptions& known_;
  CLI::App app_;
  std::map<const CLI::Option*, Target> options_;
  std::map<std::string, std::string> spellings_;  ///< folded -> as registered
  std::set<std::string> bools_;
  std::set<char> letters_;
  bool has_command_ = false;  ///< the tool has an option that takes what stands behind `--`
  CommandLine result_;
};

}  // namespace

std::vector<Flag> long_flags(const KnownOptions& known) {
  std::vector<Flag> flags;
  std::set<std::string> taken;
  // Paths before aliases, and what is there now before what could be: an alias never hides a path.
  for (const auto& option : known.all) {
    const std::string &path = option.entry.path, &alias = option.entry.field.alias;
    // Where both are one to the parser, the alias is how the help spells it, and so errors do.
    if (!option.entry.field.positional && taken.insert(folded_path(path)).second)
      flags.push_back({folded_path(alias) == folded_path(path) ? alias : path, path, is_bool(option.entry)});
  }
  for (const auto& option : known.all) {
    const std::string& alias = option.entry.field.alias;
    if (!option.entry.field.positional && !alias.empty() && taken.insert(folded_path(alias)).second)
      flags.push_back({alias, option.entry.path, is_bool(option.entry)});
  }
  return flags;
}

CommandLine parse_command_line(const KnownOptions& known, const std::vector<std::string>& arguments) { return Parser(known).parse(arguments); }

}  // namespace ds::core
