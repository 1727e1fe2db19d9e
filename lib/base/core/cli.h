// The command line: one table of flags from an options struct, parsed by CLI11.
#pragma once
#include <string>
#include <vector>

#include "base/core/config.h"

namespace ds::core {

/// What argv says. Values are not typed yet.
struct CommandLine {
  std::vector<std::string> configs;  ///< -c, in order
  std::vector<Setting> settings;     ///< flags, --set and positionals in the order of the line
  std::vector<Error> errors;         ///< unknown flags, missing values, too many arguments
};

/// A long flag as users type it, without dashes.
struct Flag {
  std::string name;
  std::string path;      ///< the option it sets
  bool is_bool = false;  ///< takes no value; --no-NAME sets false
};
/// All long flags: the paths and aliases of all options, those of other members of choices too.
std::vector<Flag> long_flags(const KnownOptions& known);

/// Parses what follows the program's name. `--` ends the flags; all after it is positional.
CommandLine parse_command_line(const KnownOptions& known, const std::vector<std::string>& arguments);

}  // namespace ds::core
