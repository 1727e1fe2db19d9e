#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <cmath>
#include <set>

#include "base/core/cli.h"
#include "base/core/generate.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

constexpr std::size_t kWidth = 110, kColumn = 34;

std::string upper_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(text[0]));
  return text;
}

/// `text` in lines of kWidth, the first one after `head`, the others at kColumn.
std::string wrapped(const std::string& head, const std::string& text) {
  std::string out = head.size() + 2 <= kColumn ? fmt::format("{:<{}}", head, kColumn) : head + "\n" + std::string(kColumn, ' ');
  std::size_t column = kColumn;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    if (column > kColumn && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(kColumn, ' ');
      column = kColumn;
    }
    if (column > kColumn) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    start = end + 1;
  }
  return out + "\n";
}

std::string usage_line(const ToolSpec& spec, const KnownOptions& known) {
  std::string line = fmt::format("usage: {} [options]", spec.name);
  for (const auto& option : known.all) {
    const Field& field = option.entry.field;
    if (!field.positional) continue;
    const std::string word = value_word(option.entry) + (is_list(option.entry) ? "..." : "");
    line += field.behind_dashes ? " [-- " + word + "]" : field.required ? " " + word : " [" + word + "]";
  }
  return line + "\n";
}

std::string option_line(const KnownOptions::Known& option) {
  const Entry& entry = option.entry;
  const std::vector<std::string> names = shown_spellings(entry);
  std::string head = entry.field.positional ? value_word(entry) : fmt::format("{}", fmt::join(names, ", "));
  if (!entry.field.positional && entry.field.letter == 0) head = "    " + head;
  if (!entry.field.positional && !is_bool(entry)) head += " " + value_word(entry);
  const std::string notes = remarks(option);
  return wrapped("  " + head, entry.field.doc + (notes.empty() ? "" : " (" + notes + ")"));
}

}  // namespace

const std::vector<Answer>& answers() {
  static const std::vector<Answer> all = {
      {"help", "", "print examples and the common options", 'h'},
      {"help-all", "", "print examples and all options"},
      {"version", "", "print name and version"},
      {"print-config", "", "print the resolved config with the origin of each value"},
      {"list", "[KIND [GLOB]]", "print what can be chosen of a kind, such as --list architecture 'res*'; without KIND the kinds"},
      {"generate", "WHAT", fmt::format("print one of {}", fmt::join(generators(), ", "))},
  };
  return all;
}

std::vector<Section> sections(const KnownOptions& known, CommandOptions& options) {
  std::set<std::string> common;
  Fields common_fields;
  CommonOptions().fields(common_fields);
  for (const Entry& entry : common_fields.entries()) common.insert(entry.path);
  const Fields fields = walk(options);
  std::vector<Section> all{{"Arguments", {}}, {"Options", {}}};
  std::map<std::string, std::size_t> of_group;
  for (const auto& [path, doc] : fields.groups()) {
    if (!of_group.emplace(path, all.size()).second) continue;
    all.push_back({upper_first(doc.empty() ? path : doc) + " (" + path + ")", {}});
  }
  Section last{"Common options", {}};
  for (const auto& option : known.all) {
    const Entry& entry = option.entry;
    const auto group = of_group.find(entry.group);
    // A group that only another member of a choice has: under the group of that choice.
    std::string outer = entry.group;
    while (group == of_group.end() && of_group.count(outer) == 0 && !outer.empty())
      outer = outer.rfind('.') == std::string::npos ? "" : outer.substr(0, outer.rfind('.'));
    const auto place = group != of_group.end() ? group : of_group.find(outer);
    if (entry.field.positional) {
      all[0].options.push_back(&option);
    } else if (common.count(entry.path) > 0) {
      last.options.push_back(&option);
    } else {
      all[place == of_group.end() ? 1 : place->second].options.push_back(&option);
    }
  }
  all.push_back(std::move(last));
  all.erase(std::remove_if(all.begin(), all.end(), [](const Section& section) { return section.options.empty(); }), all.end());
  return all;
}

std::vector<std::string> spellings(const Entry& entry) {
  std::vector<std::string> names;
  if (entry.field.letter != 0) names.push_back(std::string("-") + entry.field.letter);
  if (!entry.field.alias.empty()) names.push_back("--" + entry.field.alias);
  // Dashes and underscores are the same to the parser: --batch-size is not told a second time as --batch_size.
  if (folded_path(entry.field.alias) != folded_path(entry.path)) names.push_back("--" + entry.path);
  return names;
}

std::vector<std::string> shown_spellings(const Entry& entry) {
  std::vector<std::string> names = spellings(entry);
  if (!is_bool(entry) || !*std::get<bool*>(entry.target)) return names;
  for (std::string& name : names)
    if (name.compare(0, 2, "--") == 0) name = "--[no-]" + name.substr(2);
  return names;
}

std::string value_word(const Entry& entry) {
  if (!entry.field.value_name.empty()) return entry.field.value_name;
  if (entry.field.positional) {
    std::string name;
    for (const char c : entry.field.name) name += static_cast<char>(std::toupper(c));
    return name;
  }
  if (entry.field.path) return "FILE";
  static const char* const words[] = {"", "N", "X", "NAME", "N,...", "X,...", "NAME,..."};
  if (entry.target.index() == 3 && entry.field.choices.empty()) return "TEXT";
  return words[entry.target.index()];
}

std::vector<std::string> value_names(const Entry& entry) {
  if (entry.choice == nullptr) return entry.field.choices;
  std::vector<std::string> names;
  for (const Card& card : cards(entry.choice->kind)) names.push_back(card.name);
  if (entry.choice->allow_none) names.emplace_back("none");
  return names;
}

namespace {

/// The default as a flag would say it: a list without brackets, a text without quotes; "" where there is none.
std::string default_text(const Entry& entry) {
  if (entry.field.required) return "";
  if (entry.choice != nullptr && entry.choice->name.empty()) return "none";
  if (is_bool(entry)) return *std::get<bool*>(entry.target) ? "true" : "";
  if (entry.target.index() == 2 && !entry.field.or_auto && std::isnan(*std::get<double*>(entry.target))) return "";
  if (entry.target.index() == 3) return *std::get<std::string*>(entry.target);
  const std::string text = entry_text(entry);
  if (!is_list(entry)) return text;
  std::string out;
  for (const char c : text)
    if (c != '[' && c != ']' && c != ' ') out += c;
  return out;
}

/// "in [1, 64] pixels", "at least 0", "only 8", "in seconds", or "".
std::string limits_text(const Field& field) {
  if (field.min == field.max) return fmt::format("only {}", field.min);
  std::string range = range_text(field);
  // "a number of at least 1" reads well in an error; here "at least 1" does.
  if (range.compare(0, 3, "of ") == 0) range = range.substr(3);
  if (!field.unit.empty()) range = (range.empty() ? "in" : range) + " " + field.unit;
  if (field.or_auto) range += range.empty() ? "or auto" : ", or auto";
  return range;
}

/// "with optimizer sgd", "with any optimizer", or where the list would be long "with architecture vgg11, vgg13, vgg16 or 5 others".
std::string members_text(const std::string& kind, const std::vector<std::string>& members) {
  if (members.size() > 1 && members.size() == cards(kind).size()) return "with any " + kind;
  if (members.size() <= 8) return fmt::format("with {} {}", kind, fmt::join(members, ", "));
  return fmt::format("with {} {} or {} others", kind, fmt::join(members.begin(), members.begin() + 3, ", "), members.size() - 3);
}

}  // namespace

std::string remarks(const KnownOptions::Known& option) {
  const Entry& entry = option.entry;
  std::vector<std::string> notes;
  if (entry.field.required) notes.emplace_back("required");
  if (const std::string text = default_text(entry); !text.empty()) notes.push_back("default " + text);
  if (const std::string limits = limits_text(entry.field); !limits.empty()) notes.push_back(limits);
  const std::vector<std::string> names = value_names(entry);
  if (entry.choice != nullptr && names.size() > 8) {
    notes.push_back(fmt::format("one of {} names: --list {}", names.size(), entry.choice->kind));
  } else if (names.size() == 1) {
    notes.push_back("only " + names[0]);
  } else if (!names.empty()) {
    notes.push_back(fmt::format("one of {}", fmt::join(names, ", ")));
  }
  if (!option.members.empty()) notes.push_back(members_text(entry.kind, option.members));
  return fmt::format("{}", fmt::join(notes, "; "));
}

std::string help_text(const ToolSpec& spec, CommandOptions& options, bool all) {
  const KnownOptions known(options);
  std::string out = fmt::format("{}: {}\n\n{}\n", spec.name, spec.summary, usage_line(spec, known));
  if (!spec.examples.empty()) out += "Examples:\n";
  for (const auto& [line, doc] : spec.examples) out += fmt::format("  {}\n      {}\n", line, doc);
  std::size_t left_out = 0;
  for (const Section& section : sections(known, options)) {
    std::string lines;
    for (const auto* option : section.options) {
      const bool show = all || (!option->entry.field.hidden && option->members.empty());
      lines += show ? option_line(*option) : "";
      left_out += show ? 0 : 1;
    }
    if (!lines.empty()) out += fmt::format("\n{}:\n{}", section.title, lines);
  }
  out += "\nInstead of running:\n";
  for (const Answer& answer : answers()) {
    const std::string letter = answer.letter != 0 ? fmt::format("  -{}, ", answer.letter) : "      ";
    out += wrapped(letter + "--" + answer.name + (answer.value.empty() ? "" : " " + answer.value), answer.doc);
  }
  out += "\nA flag --a.b is the YAML key a.b; a bool has --no-FLAG; DS_OPT_A__B sets a.b from the environment.\n";
  if (left_out > 0) out += fmt::format("{} more options: {} --help-all\n", left_out, spec.name);
  return out;
}

std::string list_text(const std::string& kind, const std::string& glob) {
  std::string out;
  if (kind.empty()) {
    for (const std::string& name : kinds()) {
      const std::size_t count = cards(name).size();
      out += fmt::format("{:<24} {} name{}\n", name, count, count == 1 ? "" : "s");
    }
    return out;
  }
  if (cards(kind).empty()) {
    const std::string guess = nearest(kind, kinds());
    throw Error(Exit::kUsage, "--list", fmt::format("unknown kind '{}'{}", kind, guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
                fmt::format("one of {}", fmt::join(kinds(), ", ")));
  }
  for (const Card& card : cards(kind))
    if (glob.empty() || fnmatch(glob.c_str(), card.name.c_str(), 0) == 0) out += fmt::format("{:<24} {}\n", card.name, card.summary);
  if (out.empty()) throw Error(Exit::kUsage, "--list", fmt::format("no {} matches '{}'", kind, glob));
  return out;
}

std::vector<std::string> generators() { return {"man", "complete-bash", "complete-zsh", "complete-fish", "schema", "config"}; }

std::string generate(const ToolSpec& spec, CommandOptions& options, const std::string& what) {
  if (what == "man") return man_page(spec, options);
  if (what.compare(0, 9, "complete-") == 0 && (what == "complete-bash" || what == "complete-zsh" || what == "complete-fish"))
    return completion(spec, options, what.substr(9));
  if (what == "schema") return json_schema(spec, options).dump(2) + "\n";
  if (what == "config") return fmt::format("# All options of {} with their defaults; use it with -c.\n", spec.name) + print_config(options, {}, true);
  if (what == "faults") return fmt::format("{}", fmt::join(option_faults(options), "\n"));  // for the tests of the tools
  const std::string guess = nearest(what, generators());
  throw Error(Exit::kUsage, "--generate",
              fmt::format("expected one of {}, got '{}'{}", fmt::join(generators(), ", "), what,
                          guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)));
}

std::vector<std::string> option_faults(CommandOptions& options) {
  std::vector<std::string> faults;
  std::map<std::string, std::string> flags;
  std::map<char, std::string> letters{{'h', "--help"}};
  for (const Answer& answer : answers()) flags[folded_path(answer.name)] = "--" + answer.name;
  const auto claim = [&](const std::string& flag, const std::string& path) {
    const auto [other, fresh] = flags.emplace(folded_path(flag), path);
    if (!fresh && other->second != path) faults.push_back(fmt::format("--{} is both '{}' and '{}'", flag, other->second, path));
  };
  const Fields fields = walk(options);
  std::set<std::string> paths;
  for (const Entry& entry : fields.entries())
    if (!paths.insert(entry.path).second) faults.push_back(fmt::format("'{}' stands twice", entry.path));
  const KnownOptions known(options);
  for (const auto& option : known.all) {
    const Entry& entry = option.entry;
    if (!entry.field.positional) claim(entry.path, entry.path);
    // An alias of what is there now goes before one of another member.
    if (!entry.field.alias.empty() && option.members.empty()) claim(entry.field.alias, entry.path);
    if (entry.field.letter != 0) {
      const auto [other, fresh] = letters.emplace(entry.field.letter, entry.path);
      if (!fresh && other->second != entry.path)
        faults.push_back(fmt::format("-{} is both '{}' and '{}'", entry.field.letter, other->second, entry.path));
    }
    if (entry.field.doc.empty()) faults.push_back(fmt::format("'{}' has no documentation", entry.path));
    if (!entry.field.doc.empty() && entry.field.doc.back() == '.')
      faults.push_back(fmt::format("documentation of '{}' ends with a period", entry.path));
    const auto number = entry.target.index() == 1 || entry.target.index() == 2;
    Value value = Value::scalar(entry_text(entry));
    if (number && !range_text(entry.field).empty() && assign(entry, value))
      faults.push_back(fmt::format("default {} of '{}' is not {}", value.text, entry.path, range_text(entry.field)));
    const auto& names = entry.field.choices;
    if (entry.target.index() == 3 && !names.empty() && std::find(names.begin(), names.end(), *std::get<std::string*>(entry.target)) == names.end() &&
        !entry.field.required)
      faults.push_back(fmt::format("default '{}' of '{}' is none of its choices", *std::get<std::string*>(entry.target), entry.path));
  }
  return faults;
}

}  // namespace ds::core
