// Settings: what config files, the environment, flags and --set say about options, merged in that order and applied to an options
// struct. Everything that is wrong is found in one go.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/core/fields.h"
#include "base/core/registry.h"
#include "base/core/yaml.h"

namespace ds::core {

/// Where settings come from.
struct Source {
  enum class Kind { kFile, kEnvironment, kFlag, kSet, kJson };
  Kind kind;
  std::string name;    ///< "train.yaml", "DS_OPT_OPTIM__LR", "--lr", "--set optim.lr"
  std::string folder;  ///< of a file: relative paths in it start here
};

/// A value for one dotted path. A map is a setting for each of its leaves.
struct Setting {
  /// One level of nesting on the way to the value: the path so far and the place of its key.
  struct Step {
    std::string path;
    int line = 0, column = 0;
    bool map = false;  ///< its value is a map
  };
  std::string path;
  Value value;
  std::vector<Step> steps;
  std::shared_ptr<const Source> source;

  /// "train.yaml:12:3" or the source's name. `at`: place of a part of the value.
  std::string where() const { return where(steps.empty() ? 0 : steps.back().line, steps.empty() ? 0 : steps.back().column); }
  std::string where(int line, int column) const;
  /// "train.yaml:12", for --print-config.
  std::string origin() const;
};

/// All options that `options` could have: as it stands now, then those that other members of its choices would add.
struct KnownOptions {
  struct Known {
    Entry entry;
    std::vector<std::string> members;  ///< of the choice that has it, where it is not there now
  };
  explicit KnownOptions(Options& options);
  std::vector<Known> all;                         ///< the ones that are there now come first; paths are unique
  std::vector<std::shared_ptr<Options>> keepers;  ///< own what the others' targets point to
  const Known* find(const std::string& path) const;

 private:
  void add(const Fields& fields, bool now);
  std::map<std::string, std::size_t> index_;
};

/// The path with `-` as `_`, as flags and variables are compared.
std::string folded_path(std::string path);

/// Settings of a YAML map. Adds to `errors` what is not a map of keys, or has a key twice ("optim.lr" and "optim: {lr: }").
std::vector<Setting> settings_of(const Value& root, std::shared_ptr<const Source> source, std::vector<Error>& errors);
/// Settings of a config file; `-` is refused.
std::vector<Setting> file_settings(const std::string& path, std::vector<Error>& errors);
/// One of `--set key=value`: a value that begins as YAML ([, {, ", ', or is null or ~) is parsed as such, other text is taken as it is.
std::vector<Setting> set_settings(const std::string& text, std::vector<Error>& errors);
/// Settings of all variables DS_OPT_*: `__` is a dot, `_` also stands for `-`. An unknown one is an error.
std::vector<Setting> environment_settings(const KnownOptions& known, char** environment, std::vector<Error>& errors);

/// Applies settings, later ones win: names of choices first, since they decide which options there are, then values. Adds to
/// `errors` unknown and foreign keys, wrong types, values out of range. Returns the origin of each path that was set.
std::map<std::string, std::string> apply_settings(Options& options, const std::vector<Setting>& settings, std::vector<Error>& errors);
/// Only the names of choices, ignoring what is wrong: for --help.
void apply_choices(Options& options, const std::vector<Setting>& settings);

/// The options without the flag-only ones as YAML with each value's origin as a comment; paths are absolute, so that the text means
/// the same in any folder. With `docs`, each option's line of documentation stands above it.
std::string print_config(Options& options, const std::map<std::string, std::string>& origins, bool docs = false);

}  // namespace ds::core
