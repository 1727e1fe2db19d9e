#include "base/commands/tune_options.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/commands/tune_space.h"
#include "base/core/error.h"

namespace ds::commands {

TuneCommand::TuneCommand() {
  value = std::numeric_limits<double>::quiet_NaN();
  common.formats.insert(common.formats.begin(), "auto");
  common.format = "auto";
}

void TuneCommand::fields(core::Fields& f) {
  f.add({.name = "action",
         .doc = "run trials; init a study, ask for a trial, tell its result; print status or the best configuration; replay all suggestions",
         .choices = {"run", "init", "ask", "tell", "status", "best", "replay"}, .flag_only = true, .positional = true, .required = true}, action);
  f.add({.name = "study", .doc = "folder of the study (or -o)", .flag_only = true, .positional = true, .path = true}, study);
  f.add({.name = "command", .doc = "run: what evaluates a trial; {config}, {trial_dir} and {seed} in it are replaced", .flag_only = true,
         .positional = true, .behind_dashes = true}, command);
  f.add({.name = "space", .doc = "run, init: what to search: metric, parameters, base, fixed, default", .value_name = "FILE", .path = true}, space);
  f.add({.name = "trials", .doc = "run: trials that the study has in the end, those of earlier runs included", .min = 1, .max = 1e6, .unit = "trials"}, trials);
  f.add({.name = "output", .doc = "folder of the study; a study that is there goes on", .letter = 'o', .value_name = "DIR", .flag_only = true,
         .path = true}, output);
  f.add({.name = "parallel", .doc = "run: trials at once", .min = 1, .max = 1024, .unit = "trials"}, parallel);
  f.choice("sampler", "how trials are chosen", sampler, "sampler");
  f.add({.name = "trial", .doc = "tell: which one; from 1", .min = 0, .flag_only = true}, trial);
  f.add({.name = "value", .doc = "tell: its metric", .flag_only = true}, value);
  f.add({.name = "result",
         .doc = "tell: the record that the trial printed, in place of --value",
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        result);
  f.add({.name = "failed", .doc = "tell: it has no metric, since the configuration is bad", .flag_only = true}, failed);
  f.add({.name = "reason", .doc = "tell --failed: why", .flag_only = true}, reason);
  common.fields(f);
}

void TuneCommand::check() const {
  std::vector<Error> errors;
  const auto fail = [&](const char* where, std::string what, std::string hint = "") {
    errors.emplace_back(Exit::kUsage, where, std::move(what), std::move(hint));
  };
  if (!study.empty() && !output.empty() && study != output) fail("-o", fmt::format("the study is '{}' already", study));
  if (folder().empty()) fail("STUDY", "is required: the folder of the study", action == "run" || action == "init" ? "give it as -o DIR" : "");
  if (folder() == "-") fail("-o", "expected a folder, got '-'");
  if (action == "run") {
    if (command.empty()) fail("COMMAND", "is required: what evaluates a trial", "such as: -- ds-train -c {config}");
    bool told = command.empty();
    for (const std::string& word : command) told = told || word.find("{config}") != std::string::npos || word.find("{trial_dir}") != std::string::npos;
    if (!told) fail("COMMAND", "has no {config}: the trials would all be the same");
  } else if (!command.empty()) {
    fail("COMMAND", fmt::format("'{}' runs no command", action));
  }
  if ((common.format == "table" || common.format == "csv") && action != "status")
    fail("--format", fmt::format("'{}' is a form of status, '{}' prints a record", common.format, action), "give auto, yaml or json");
  if (action == "tell") {
    if (trial == 0) fail("--trial", "is required: which one is told");
    if ((std::isnan(value) ? 0 : 1) + (result.empty() ? 0 : 1) + (failed ? 1 : 0) != 1) fail("tell", "expected one of --value, --result and --failed");
  }
  throw_errors(errors);
}

std::string TuneCommand::base_command() const {
  const bool samples = action == "run" || action == "ask" || action == "replay";
  return samples && !common.dry_run ? "" : "tune-study";
}

void TuneCommand::check_files() const {
  if (!space.empty()) TuneSpace::read(space);
}

}  // namespace ds::commands
