#include "base/core/tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <regex>

#include "base/core/cli.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/generate.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "base/core/module.h"
#include "base/core/signals.h"
#include "base/core/values.h"

extern char** environ;

namespace ds::core {
namespace {

std::map<std::string, Command*>& command_table() {
  static std::map<std::string, Command*> table;
  return table;
}

/// Whole or not at all, as ds::io does it; that area is above this one.
void write_record_file(const std::string& path, const std::string& text) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool good = file >= 0;
  for (std::size_t done = 0; good && done < text.size();) {
    const auto written = ::write(file, text.data() + done, text.size() - done);
    good = written > 0;
    done += good ? static_cast<std::size_t>(written) : 0;
  }
  good = good && ::fsync(file) == 0;
  if (file >= 0) good = ::close(file) == 0 && good;
  good = good && ::rename(temporary.c_str(), path.c_str()) == 0;
  if (good) return;
  const std::string reason = std::strerror(errno);
  ::unlink(temporary.c_str());
  throw Error(Exit::kResource, path, "the record cannot be written: " + reason);
}

bool same_file(const std::string& one, const std::string& two) {
  namespace fs = std::filesystem;
  if (one.empty() || two.empty() || two == "-") return false;
  std::error_code code;
  if (fs::equivalent(one, two, code)) return true;
  const fs::path a = fs::weakly_canonical(fs::absolute(one, code), code), b = fs::weakly_canonical(fs::absolute(two, code), code);
  return !a.empty() && a == b;
}

/// Whether a file has the mark of a result record in its first mebibyte.
bool is_record(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(1 << 20, 0);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(file.gcount()));
  return start.find("ds-record/") != std::string::npos;
}

bool use_color(const std::string& mode) {
  if (mode != "auto") return mode == "always";
  const auto given = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != 0;
  };
  if (given("NO_COLOR")) return false;
  if (given("FORCE_COLOR")) return true;
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

/// Control characters as \n or \x1b: an error is one line, and a file's name shall not paint the terminal.
std::string visible(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') out += "\\n";
    else if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\x{:02x}", byte);
    else out += c;
  }
  return out;
}

/// A descriptor 0, 1 or 2 that the caller closed would be given to the next file that is opened, and a message end up in it. This keeps the
/// places taken, by descriptors that cannot be read or written as these three are.
void hold_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) == -1) [[maybe_unused]] const int held = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// "ds-eval: error: ", for a moment at which there may be no memory to make a text.
char last_words[64] = "";

/// What nobody can catch: an exception out of a library's start, a destructor or a thread. One line and an exit code, as everything else that
/// goes wrong, in place of abort().
[[noreturn]] void end_by_exception() {
  const auto say = [](const char* text, std::size_t bytes) { [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, bytes); };
  const auto end = [&say](const char* text, Exit code) {
    say(text, std::strlen(text));
    ::_exit(static_cast<int>(code));
  };
  constexpr const char* no_memory = "out of memory; raise the limit of this process (ulimit -v) or use a machine with more\n";
  say(last_words, std::strlen(last_words));
  try {
    if (const std::exception_ptr current = std::current_exception()) std::rethrow_exception(current);
  } catch (const std::bad_alloc&) {
    end(no_memory, Exit::kResource);
  } catch (const std::exception& e) {
    say("unexpected failure: ", 20);
    say(e.what(), std::strcspn(e.what(), "\n"));
    end("\n", Exit::kFailure);
  } catch (...) {
    end("unexpected failure\n", Exit::kFailure);
  }
  end(no_memory, Exit::kResource);  // there was none for an exception
  std::abort();
}

/// Errors with a place in a file look as a compiler's do, so that editors jump to them; others name the tool.
std::string error_line(const std::string& tool, const Error& error) {
  static const std::regex place(".*:[0-9]+:[0-9]+");
  const std::string hint = error.hint().empty() ? "" : "; " + error.hint();
  const char* severity = error.code() == Exit::kStopped ? "stopped" : error.code() == Exit::kInterrupted ? "interrupted" : "error";
  if (std::regex_match(error.where(), place)) return fmt::format("{}: {}: {}{}", error.where(), severity, error.message(), hint);
  return fmt::format("{}: {}: {}{}{}{}", tool, severity, error.where(), error.where().empty() ? "" : ": ", error.message(), hint);
}

/// What argv asks for beside running: the flags of `answers()`.
struct Request {
  std::string answer;  ///< "", "help", "help-all", "version", "print-config", "generate", "list"
  std::vector<std::string> values;
  std::vector<std::string> rest;  ///< argv without them
};

Request read_request(const std::vector<std::string>& arguments) {
  Request request;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--") {
      request.rest.insert(request.rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
      break;
    }
    const std::size_t equal = word.find('=');
    const std::string name = word == "-h"                    ? "help"
                             : word.compare(0, 2, "--") == 0 ? word.substr(2, equal == std::string::npos ? equal : equal - 2)
                                                             : "";
    const auto& all = answers();
    const auto answer =
        std::find_if(all.begin(), all.end(), [&](const Answer& other) { return other.name == folded_path(name) || other.name == name; });
    if (name.empty() || answer == all.end() || (equal != std::string::npos && answer->value.empty())) {
      request.rest.push_back(word);
      continue;
    }
    // --help beats all others, then the first one holds.
    const bool help = answer->name == "help" || answer->name == "help-all";
    const bool take = request.answer.empty() || (help && request.answer.compare(0, 4, "help") != 0);
    std::vector<std::string> values;
    if (equal != std::string::npos) values.push_back(word.substr(equal + 1));
    const std::size_t most = answer->name == "generate" ? 1 : answer->name == "list" ? 2 : 0;
    while (values.size() < most && i + 1 < arguments.size() && !arguments[i + 1].empty() && arguments[i + 1][0] != '-')
      values.push_back(arguments[++i]);
    if (take) {
      request.answer = answer->name;
      request.values = std::move(values);
    }
  }
  return request;
}

class Run {
 public:
  Run(const ToolSpec& spec, CommandOptions& options, int argc, char** argv) : spec_(spec), options_(options) {
    for (int i = 0; i < argc; ++i) argv_.emplace_back(argv[i]);
    for (const std::string& format : spec.formats) options.common.formats.push_back(format);
  }

  int run() {
    try {
      return guarded();
    } catch (const ErrorList& e) {
      for (const Error& error : e.errors()) report(error);
      return fail(e);
    } catch (const Error& e) {
      report(e);
      return fail(e);
    } catch (const std::bad_alloc&) {
      return fail_as({Exit::kResource, "", "out of memory", "lower the batch size or use a machine with more"});
    } catch (const std::exception& e) {
      return fail_as({Exit::kFailure, "", fmt::format("unexpected failure: {}", e.what())});
    }
  }

 private:
  int guarded() {
    const Request request = read_request(argv_.empty() ? argv_ : std::vector<std::string>(argv_.begin() + 1, argv_.end()));
    // Before anything is written: a reader that went away is not worth a signal.
    install_signals();
    if (request.answer == "version") return answer(fmt::format("{} {}\n", spec_.name, version()));
    if (request.answer == "list")
      return answer(list_text(request.values.empty() ? "" : request.values[0], request.values.size() < 2 ? "" : request.values[1]));
    if (request.answer == "generate") return answer(generate(spec_, options_, request.values.empty() ? "" : request.values[0]));
    const bool help = request.answer == "help" || request.answer == "help-all";
    std::vector<Error> errors;
    const std::vector<Setting> settings = collect(request.rest, errors);
    if (help) {
      apply_choices(options_, settings);
      return answer(help_text(spec_, options_, request.answer == "help-all"));
    }
    const auto origins = apply_settings(options_, settings, errors);
    check_common(errors);
    const bool print = request.answer == "print-config";
    if (!print) check_required(origins, errors);
    throw_errors(errors);
    check_options(print);
    return print ? answer(print_config(options_, origins)) : compute();
  }

  int answer(const std::string& text) {
    write_stdout(text);
    return 0;
  }

  std::vector<Setting> collect(const std::vector<std::string>& arguments, std::vector<Error>& errors) {
    const KnownOptions known(options_);
    CommandLine line = parse_command_line(known, arguments);
    std::vector<Setting> settings;
    const auto append = [&](std::vector<Setting> more) { settings.insert(settings.end(), more.begin(), more.end()); };
    for (const std::string& path : line.configs) append(file_settings(path, errors));
    options_.common.config = line.configs;
    append(environment_settings(known, environ, errors));
    append(std::move(line.settings));
    errors.insert(errors.end(), line.errors.begin(), line.errors.end());
    return settings;
  }

  void check_common(std::vector<Error>& errors) {
    CommonOptions& common = options_.common;
    static const std::regex device("auto|cpu|cuda(:[0-9]{1,3})?");
    if (!std::regex_match(common.device, device))
      errors.emplace_back(Exit::kUsage, "--device", fmt::format("expected auto, cpu, cuda or cuda:N, got '{}'", common.device));
    try {
      memory_limit_bytes(common.memory_limit);
    } catch (const Error& e) {
      errors.push_back(e);
    }
    if (common.record == "-") errors.emplace_back(Exit::kUsage, "--record", "expected a file, got '-'", "the record goes to stdout anyway");
    if (common.record.empty() || common.record == "-") return;
    const std::string folder = std::filesystem::path(common.record).parent_path().string();
    struct stat status = {};
    if (::stat(folder.empty() ? "." : folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      errors.emplace_back(Exit::kResource, common.record, fmt::format("no folder '{}'", folder));
    else if (::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0)
      errors.emplace_back(Exit::kResource, common.record, fmt::format("folder '{}' is not writable", folder.empty() ? "." : folder));
    check_record_file(errors);
  }

  /// A record may take the place of an earlier record, as the same command run again makes it, but not of a model or a config.
  void check_record_file(std::vector<Error>& errors) {
    const std::string& path = options_.common.record;
    const Fields fields = walk(options_);
    for (const Entry& entry : fields.entries()) {
      if (!entry.field.path || entry.path == "record") continue;
      std::vector<std::string> others;
      if (const auto* one = std::get_if<std::string*>(&entry.target)) others.push_back(**one);
      if (const auto* many = std::get_if<std::vector<std::string>*>(&entry.target)) others = **many;
      for (const std::string& other : others)
        if (same_file(path, other))
          errors.emplace_back(Exit::kUsage, path, fmt::format("is both --record and {}", entry.field.positional ? value_word(entry) : spellings(entry).back()),
                              "name another file");
    }
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return;
    if (!S_ISREG(status.st_mode)) errors.emplace_back(Exit::kUsage, path, "is not a regular file", "name another file with --record");
    else if (!options_.common.force && status.st_size > 0 && !is_record(path))
      errors.emplace_back(Exit::kUsage, path, "exists and is no record", "-f overwrites it");
  }

  void check_required(const std::map<std::string, std::string>& origins, std::vector<Error>& errors) {
    if (!errors.empty()) return;  // a wrong value is not a missing one
    const Fields fields = walk(options_);
    for (const Entry& entry : fields.entries()) {
      if (!entry.field.required || origins.count(entry.path) > 0) continue;
      const std::string name = entry.field.positional ? value_word(entry) : spellings(entry).back();
      errors.emplace_back(Exit::kUsage, name, fmt::format("is required: {}", entry.field.doc), spec_.name + " --help shows examples");
    }
  }

  /// Checks across options. What is wrong with flags that are no part of the config does not matter where only that is asked for.
  void check_options(bool config_only) {
    try {
      options_.check();
    } catch (const Error& e) {
      const Fields fields = walk(options_);
      for (const Entry& entry : fields.entries()) {
        if (!config_only || !entry.field.flag_only) continue;
        const std::vector<std::string> names = spellings(entry);
        if (e.where() == value_word(entry) || std::find(names.begin(), names.end(), e.where()) != names.end()) return;
      }
      throw;
    }
  }

  void start_log() const {
    const CommonOptions& common = options_.common;
    const Level level = common.quiet ? Level::kWarn : common.verbose ? Level::kDebug : Level::kInfo;
    static const std::map<std::string, ProgressMode> modes{
        {"auto", ProgressMode::kAuto}, {"plain", ProgressMode::kPlain}, {"none", ProgressMode::kNone}, {"jsonl", ProgressMode::kJsonl}};
    set_log(level, modes.at(common.progress), use_color(common.color));
  }

  int compute() {
    start_log();
    Invocation invocation{spec_.name, argv_, to_json(options_), ""};
    invocation.config_digest = sha256_hex(invocation.config.dump(-1, ' ', false, Json::error_handler_t::replace));
    set_invocation(invocation);
    const Fields fields = walk(options_);
    for (const Entry& entry : fields.entries())
      if (entry.field.letter == 'o' && entry.target.index() == 3 && *std::get<std::string*>(entry.target) == "-") stdout_taken_ = true;
    begin_record(invocation);
    started_ = true;
    call_command();
    record_["status"] = "done";
    finish_record();
    if (!stdout_taken_) write_stdout(record_.text.empty() ? record_text(record_.fields, options_.common.format) : record_.text);
    return 0;
  }

  void begin_record(const Invocation& invocation) {
    start_ = std::chrono::steady_clock::now();
    record_["schema"] = "ds-record/1";
    record_["tool"] = spec_.name;
    record_["version"] = version();
    record_["command"] = argv_;
    record_["config"] = invocation.config;
    record_["config_digest"] = invocation.config_digest;
    record_["isa"] = cpu_isa();
    record_["threads"] = thread_count(options_.common.threads);
  }

  void finish_record() {
    if (!options_.common.reproducible)
      record_["elapsed_s"] =
          static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_).count()) / 1000;
    const bool json = options_.common.format == "json" ||
                      (options_.common.record.size() > 5 && options_.common.record.rfind(".json") == options_.common.record.size() - 5);
    if (!options_.common.record.empty()) write_record_file(options_.common.record, record_text(record_.fields, json ? "json" : "yaml"));
  }

  void call_command() {
    options_.check_files();
    const std::string instead = options_.base_command();
    if (!spec_.engine || !instead.empty()) {
      const std::string& name = instead.empty() ? spec_.command : instead;
      Command* command = find_command(name);
      if (command == nullptr) throw Error(Exit::kFailure, name, "no such command in this build");
      return command(options_, record_);
    }
    run_engine(spec_.command, options_, record_);
  }

  void report(const Error& error) const {
    const std::string line = visible(error_line(spec_.name, error)) + "\n";
    if (options_.common.progress == "jsonl" && started_)
      return event("error", {{"code", static_cast<int>(error.code())}, {"where", error.where()}, {"what", error.message()}, {"hint", error.hint()}});
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }

  int fail_as(const Error& error) {
    report(error);
    return fail(error);
  }

  /// The exit code; and where the command had begun and stdout goes to another program, a record that tells it why.
  int fail(const Error& error) {
    const int code = static_cast<int>(error.code());
    if (!started_ || error.code() == Exit::kUsage) return code;
    record_["status"] = error.code() == Exit::kStopped || error.code() == Exit::kInterrupted ? "stopped" : "failed";
    record_["error"] = Json{{"code", code}, {"where", error.where()}, {"what", error.message()}};
    if (!error.hint().empty()) record_["error"]["hint"] = error.hint();
    try {
      finish_record();
      const std::string format = options_.common.format == "json" ? "json" : "yaml";
      if (!stdout_taken_ && isatty(STDOUT_FILENO) == 0) write_stdout(record_text(record_.fields, format));
    } catch (const std::exception&) {  // the first failure is the one to report
    }
    return code;
  }

  const ToolSpec& spec_;
  CommandOptions& options_;
  std::vector<std::string> argv_;
  Record record_;
  std::chrono::steady_clock::time_point start_;
  bool started_ = false, stdout_taken_ = false;
};

}  // namespace

bool write_stdout(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) return false;
    if (written < 0) throw Error(Exit::kResource, "stdout", fmt::format("cannot be written: {}", std::strerror(errno)));
    done += static_cast<std::size_t>(written);
  }
  return true;
}

BaseCommand::BaseCommand(const char* name, Command* run) { command_table()[name] = run; }

Command* find_command(const std::string& name) {
  const auto found = command_table().find(name);
  return found == command_table().end() ? nullptr : found->second;
}

void CommonOptions::fields(Fields& f) {
  f.add({.name = "config",
         .doc = "YAML file of options, may be repeated, later ones win",
         .letter = 'c',
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        config);
  f.add({.name = "set", .doc = "one option by its YAML key, may be repeated", .value_name = "KEY=VALUE", .flag_only = true}, set);
  f.add({.name = "force", .doc = "overwrite outputs that exist", .letter = 'f', .flag_only = true}, force);
  f.add({.name = "dry-run", .doc = "open the inputs and check everything, compute and write nothing", .letter = 'n', .flag_only = true}, dry_run);
  f.add({.name = "device", .doc = "where to compute: auto, cpu, cuda or cuda:N", .value_name = "DEVICE"}, device);
  f.add({.name = "threads", .doc = "threads to compute with, 0 = all this process may use", .min = 0, .max = 4096}, threads);
  f.add({.name = "seed", .doc = "key of all random numbers", .min = 0}, seed);
  f.add({.name = "memory.limit",
         .doc = "most memory for tensors: bytes such as 8G, auto or none",
         .alias = "memory-limit",
         .value_name = "BYTES",
         .hidden = true},
        memory_limit);
  f.add({.name = "reproducible", .doc = "leave times, host names and absolute paths out of what is written"}, reproducible);
  f.add({.name = "format", .doc = "form of the result on stdout", .choices = formats, .flag_only = true}, format);
  f.add({.name = "record", .doc = "write the result record to this file too", .value_name = "FILE", .flag_only = true, .path = true}, record);
  f.add({.name = "quiet", .doc = "warnings and errors only", .letter = 'q', .flag_only = true}, quiet);
  f.add({.name = "verbose", .doc = "say more", .letter = 'v', .flag_only = true}, verbose);
  f.add({.name = "progress", .doc = "how progress is shown on stderr", .choices = {"auto", "plain", "none", "jsonl"}, .flag_only = true}, progress);
  f.add({.name = "color", .doc = "colour on stderr", .choices = {"auto", "always", "never"}, .flag_only = true, .hidden = true}, color);
}

int run_tool(const ToolSpec& spec, CommandOptions& options, int argc, char** argv) {
  hold_standard_descriptors();
  std::snprintf(last_words, sizeof last_words, "%s: error: ", spec.name.c_str());
  std::set_terminate(end_by_exception);
  return Run(spec, options, argc, argv).run();
}

}  // namespace ds::core
