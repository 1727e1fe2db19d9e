// The one exception of the project. The library throws it; run_tool alone prints it and turns it into an exit code.
#pragma once
#include <exception>
#include <string>
#include <vector>

namespace ds {

/// Exit codes, the same in every tool (README, "Exit codes").
enum class Exit : int {
  kDone = 0,
  kFailure = 1,       ///< unexpected failure, diverged training
  kUsage = 2,         ///< usage or configuration
  kInput = 3,         ///< input missing, unreadable, corrupt or of the wrong kind
  kResource = 4,      ///< out of memory, no such device, disk full, output not writable, module not installed
  kGate = 5,          ///< a gate that was asked for is not met
  kStopped = 75,      ///< stopped by a signal, state saved
  kInterrupted = 130  ///< interrupted before there was anything to save
};

/// One failure: `where` (file, file:line:column, file:dataset or flag), `what` (actual and expected), `hint` (what to do; may be empty).
class Error : public std::exception {
 public:
  Error(Exit code, std::string where, std::string what, std::string hint = "");
  ~Error() override;

  Exit code() const { return code_; }
  const std::string& where() const { return where_; }
  const std::string& hint() const { return hint_; }
  const std::string& message() const { return what_; }
  /// "where: what; hint"
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  Exit code_;
  std::string where_, what_, hint_, line_;
};

/// Several failures that were found together, such as all that is wrong with a configuration. run_tool prints each on its own line.
/// As an Error it has the code of the first; `what()` holds all lines.
class ErrorList : public Error {
 public:
  /// `errors` has at least one.
  explicit ErrorList(std::vector<Error> errors);
  ~ErrorList() override;
  const std::vector<Error>& errors() const { return errors_; }

 private:
  std::vector<Error> errors_;
};

/// Throws the one error as it is, several as an ErrorList, none not at all.
void throw_errors(const std::vector<Error>& errors);

}  // namespace ds
