#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/generate.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

/// One flag to complete, with all that may follow it.
struct Item {
  std::vector<std::string> spellings;  ///< with dashes
  std::string doc;
  bool takes_value = false, is_file = false, is_folder = false;
  std::vector<std::string> values;
};

std::vector<Item> items_of(CommandOptions& options) {
  const KnownOptions known(options);
  std::vector<Item> items;
  for (const auto& option : known.all) {
    const Entry& entry = option.entry;
    if (entry.field.positional) continue;
    Item item{spellings(entry), entry.field.doc, !is_bool(entry), false, false, value_names(entry)};
    const std::string word = value_word(entry);
    item.is_folder = word == "DIR";
    item.is_file = !item.is_folder && (entry.field.path || word == "FILE" || word == "PATH");
    items.push_back(item);
    if (!is_bool(entry)) continue;
    for (std::string& spelling : item.spellings) spelling = spelling.compare(0, 2, "--") == 0 ? "--no-" + spelling.substr(2) : "";
    item.spellings.erase(std::remove(item.spellings.begin(), item.spellings.end(), ""), item.spellings.end());
    item.doc = "not: " + item.doc;
    items.push_back(std::move(item));
  }
  for (const Answer& answer : answers()) {
    Item item{{"--" + answer.name}, answer.doc, !answer.value.empty(), false, false, {}};
    if (answer.letter != 0) item.spellings.push_back(std::string("-") + answer.letter);
    if (answer.name == "generate") item.values = generators();
    if (answer.name == "list") item.values = kinds();
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<std::string> first_words(CommandOptions& options) {
  const KnownOptions known(options);
  for (const auto& option : known.all)
    if (option.entry.field.positional) return option.entry.field.choices;
  return {};
}

std::string bash(const ToolSpec& spec, CommandOptions& options) {
  std::string function = "_" + folded_path(spec.name), flags, cases;
  for (const Item& item : items_of(options)) {
    for (const std::string& spelling : item.spellings) flags += " " + spelling;
    if (!item.takes_value) continue;
    const std::string reply = !item.values.empty() ? fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", fmt::join(item.values, " "))
                              : item.is_folder     ? std::string("COMPREPLY=($(compgen -d -- \"$cur\"))")
                              : item.is_file       ? std::string("COMPREPLY=($(compgen -f -- \"$cur\"))")
                                                   : std::string("COMPREPLY=()");
    cases += fmt::format("    {})\n      {}\n      return ;;\n", fmt::join(item.spellings, "|"), reply);
  }
  const std::vector<std::string> words = first_words(options);
  const std::string other = words.empty()
                                ? std::string("COMPREPLY=($(compgen -f -- \"$cur\"))")
                                : fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\") $(compgen -f -- \"$cur\"))", fmt::join(words, " "));
  return fmt::format(R"(# Written by {0} --generate complete-bash
{1}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
  # bash takes = for a word of its own: --flag = value
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = && $COMP_CWORD -ge 2 ]]; then
    prev=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  compopt -o filenames 2>/dev/null
  case $prev in
{2}  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "{3}" -- "$cur"))
  else
    {4}
  fi
}}
complete -F {1} {0}
)",
                     spec.name, function, cases, flags.empty() ? flags : flags.substr(1), other);
}

std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh(const ToolSpec& spec, CommandOptions& options) {
  std::string out = fmt::format("#compdef {0}\n# Written by {0} --generate complete-zsh\n_arguments -s \\\n", spec.name);
  for (const Item& item : items_of(options)) {
    std::string action;
    if (item.takes_value) {
      const std::string values = item.is_folder         ? "_files -/"
                                 : item.is_file         ? "_files"
                                 : !item.values.empty() ? fmt::format("({})", fmt::join(item.values, " "))
                                                        : " ";
      action = ":value:" + values;
    }
    for (const std::string& spelling : item.spellings) {
      const bool is_long = spelling.compare(0, 2, "--") == 0;
      out += fmt::format("  '*{}{}[{}]{}' \\\n", spelling, item.takes_value ? (is_long ? "=" : "+") : "", zsh_text(item.doc), action);
    }
  }
  const std::vector<std::string> words = first_words(options);
  return out + (words.empty() ? "" : fmt::format("  '1:word:({})' \\\n", fmt::join(words, " "))) + "  '*:file:_files'\n";
}

std::string fish_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string fish(const ToolSpec& spec, CommandOptions& options) {
  std::string out = fmt::format("# Written by {} --generate complete-fish\n", spec.name);
  for (const Item& item : items_of(options)) {
    std::string line = "complete -c " + spec.name;
    for (const std::string& spelling : item.spellings)
      line += spelling.compare(0, 2, "--") == 0 ? " -l " + spelling.substr(2) : " -s " + spelling.substr(1);
    line += fmt::format(" -d '{}'", fish_text(item.doc));
    if (item.takes_value)
      line += item.is_folder ? " -x -a '(__fish_complete_directories)'"
              : item.is_file ? " -r -F"
                             : fmt::format(" -x -a '{}'", fmt::join(item.values, " "));
    out += line + "\n";
  }
  const std::vector<std::string> words = first_words(options);
  if (!words.empty()) out += fmt::format("complete -c {} -n __fish_use_subcommand -a '{}'\n", spec.name, fmt::join(words, " "));
  return out;
}

}  // namespace

std::string completion(const ToolSpec& spec, CommandOptions& options, const std::string& shell) {
  return shell == "bash" ? bash(spec, options) : shell == "zsh" ? zsh(spec, options) : fish(spec, options);
}

}  // namespace ds::core
