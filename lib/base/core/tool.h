// Runs a tool: parses, validates, answers --help and its like, and only to compute loads the engine.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/core/fields.h"

namespace ds::core {

using Json = nlohmann::json;  // keys sorted: the text is canonical

/// The result of a command: printed once to stdout by run_tool, as YAML or JSON.
/// Keys that commands fill: "outputs": [{"path","digest"}], "inputs": [...], "metrics": {...}, and what else the tool reports.
struct Record {
  Json fields = Json::object();
  void input(const std::string& name, const std::string& path, const std::string& digest);
  void output(const std::string& name, const std::string& path, const std::string& digest);
  Json& operator[](const std::string& key) { return fields[key]; }
};

/// Options that every tool has (design, section 5). Each tool's options struct begins with these.
struct CommonOptions {
  std::vector<std::string> config, set;
  std::string format = "yaml", record, progress = "auto", color = "auto", device = "auto", memory_limit = "auto";
  bool force = false, dry_run = false, quiet = false, verbose = false, reproducible = false;
  std::int64_t threads = 0, seed = 42;
  void fields(Fields& f);
};

/// Base of a command's options.
struct CommandOptions : Options {
  CommonOptions common;
};

/// What a tool is called and shows.
struct ToolSpec {
  std::string name;                    ///< "ds-train"
  std::string summary;                 ///< one line
  std::string description;             ///< some sentences for the man page
  std::vector<std::pair<std::string, std::string>> examples;  ///< command line, what it does
  std::vector<std::string> see_also;   ///< "ds-eval(1)"
  std::string command;                 ///< the registered command
  bool engine = true;                  ///< false: the command is in the base library and LibTorch is not loaded
  /// Formats of --format that the tool offers beside yaml and json: "table", "csv", "md".
  std::vector<std::string> formats = {};
};

/// How the program was called, for provenance.
struct Invocation {
  std::string tool;
  std::vector<std::string> argv;
  Json config;               ///< resolved, without flag-only options
  std::string config_digest; ///< SHA-256 of its canonical text
};
const Invocation& invocation();

/// A command: takes the options of its tool (the caller made them, so the type is known) and fills the record.
using Command = void(const CommandOptions& options, Record& record);

/// Registers a base command: `const core::BaseCommand c{"inspect", run};`; engine commands: core::Body<core::Command>{"command", ...}.
struct BaseCommand {
  BaseCommand(const char* name, Command* run);
};

/// Parses argv into `options`, runs the command and returns the exit code. The only place that prints results and errors.
int run_tool(const ToolSpec& spec, CommandOptions& options, int argc, char** argv);

/// The resolved values of `options` as JSON: nested by groups, with or without flag-only fields.
Json to_json(Options& options, bool with_flags = false);
/// Sets values from JSON (as to_json gives). Throws ds::Error(kUsage) naming unknown or wrong keys; `where` names the source.
void from_json(Options& options, const Json& values, const std::string& where);

}  // namespace ds::core
