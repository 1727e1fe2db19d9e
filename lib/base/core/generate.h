// Texts that come from the table of options: help, man page, completion, JSON schema. All are functions of it alone: no date, no terminal.
#pragma once
#include <string>
#include <vector>

#include "base/core/config.h"
#include "base/core/tool.h"

namespace ds::core {

/// `all`: hidden options and those of other members of choices too.
std::string help_text(const ToolSpec& spec, CommandOptions& options, bool all);
/// The page in man(7) roff.
std::string man_page(const ToolSpec& spec, CommandOptions& options);
/// `shell`: bash, zsh or fish.
std::string completion(const ToolSpec& spec, CommandOptions& options, const std::string& shell);
/// JSON Schema 2020-12 of the tool's config files.
Json json_schema(const ToolSpec& spec, CommandOptions& options);
/// "name  summary" a line: the cards of a kind whose name matches the glob; without a kind the kinds.
std::string list_text(const std::string& kind, const std::string& glob);
/// What --generate takes.
std::vector<std::string> generators();
std::string generate(const ToolSpec& spec, CommandOptions& options, const std::string& what);
/// What is wrong with the table itself, for tests: a flag or letter twice, no documentation, a default outside its own range.
std::vector<std::string> option_faults(CommandOptions& options);

// What the texts share.

/// Flags that are no options: they answer and end.
struct Answer {
  std::string name, value, doc;
  char letter = 0;
};
const std::vector<Answer>& answers();
/// A heading with its options.
struct Section {
  std::string title;
  std::vector<const KnownOptions::Known*> options;
};
/// Arguments, options at the top level, a section a group, and the common ones last.
std::vector<Section> sections(const KnownOptions& known, CommandOptions& options);
/// "-o", "--output" ...: the letter, the alias, the dotted path where it is not the alias.
std::vector<std::string> spellings(const Entry& entry);
/// The same as people read them: a bool that is on is told as "--[no-]verify".
std::vector<std::string> shown_spellings(const Entry& entry);
/// "FILE", "N", "" for a bool.
std::string value_word(const Entry& entry);
/// Names that the option's value may have: choices, registered cards.
std::vector<std::string> value_names(const Entry& entry);
/// "default 0.003; in [0, 1]; with optimizer sgd"
std::string remarks(const KnownOptions::Known& option);

}  // namespace ds::core
