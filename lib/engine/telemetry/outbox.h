// Things to be sent or written beside the loop, which never waits for them.
#pragma once
#include <functional>
#include <memory>
#include <string>

namespace ds::telemetry {

/// Runs tasks one after another on a thread of its own. A task that throws is a failure like one that returns false.
class Outbox {
 public:
  /// `what` is said in the one warning that the first failure gives: "push gateway http://...". At most `most` tasks wait.
  explicit Outbox(std::string what, std::size_t most = 16);
  /// Waits as drain() does, and for the task under way.
  ~Outbox();
  /// A task gives "" or what went wrong. False, and the task is dropped, where too many wait. `name` not "": takes the place of a waiting task of
  /// the same name, so that only the newest state is sent.
  bool add(std::function<std::string()> task, const std::string& name = "");
  /// Until all tasks are done; false after `seconds`.
  bool drain(double seconds);
  std::int64_t failures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::telemetry
