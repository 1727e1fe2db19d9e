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
/// A command that is stopped by a signal throws ds::Error(kStopped or kInterrupted); a gate that is not met ds::Error(kGate): what
/// the record holds by then is printed with `status: stopped` or `failed`.
struct Record {
  Json fields = Json::object();
  std::string text;  ///< set where --format is one of the tool's own ("table", "csv", "md"): printed instead of the record
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
  std::vector<std::string> formats = {"yaml", "json"};  ///< what --format takes; run_tool adds the tool's own
  void fields(Fields& f);
};

/// Base of a command's options. Its `fields()` has a line `common.fields(f);`.
struct CommandOptions : Options {
  CommonOptions common;
  /// A base command to run in place of the tool's own, for a tool of which some actions need no LibTorch; "" = the tool's own.
  virtual std::string base_command() const { return ""; }
  /// Looks at the files that are named, inputs and outputs, before LibTorch is loaded: a bad one is told in milliseconds.
  virtual void check_files() const {}
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
/// For tests and for programs that use the library without run_tool.
void set_invocation(Invocation invocation);

/// A command: takes the options of its tool (the caller made them, so the type is known) and fills the record.
using Command = void(const CommandOptions& options, Record& record);

/// Registers a base command: `const core::BaseCommand c{"inspect", run};`; engine commands: core::Body<core::Command>{"command", ...}.
struct BaseCommand {
  BaseCommand(const char* name, Command* run);
};

/// Parses argv into `options`, runs the command and returns the exit code. The only place that prints results and errors.
int run_tool(const ToolSpec& spec, CommandOptions& options, int argc, char** argv);

/// Writes to stdout at once, for a command that takes it for itself (`-o -`): the record then goes to --record alone. False where the reader
/// has gone away, which is nobody's error. Throws ds::Error(kResource) for a full disk and the like.
bool write_stdout(const std::string& text);

/// The registered base command, or nullptr.
Command* find_command(const std::string& name);
/// The record as it is printed: YAML with the keys in a fixed order, or JSON in one line.
std::string record_text(const Json& record, const std::string& format);

/// The resolved values of `options` as JSON: nested by groups, with or without flag-only fields.
Json to_json(Options& options, bool with_flags = false);
/// Sets values from JSON (as to_json gives). Throws ds::Error(kUsage) naming unknown or wrong keys; `where` names the source.
void from_json(Options& options, const Json& values, const std::string& where);

}  // namespace ds::core
