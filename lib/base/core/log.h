// Messages and progress on stderr. Results never go through here.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace ds::core {

enum class Level { kQuiet = 0, kWarn = 1, kInfo = 2, kDebug = 3 };
enum class ProgressMode { kAuto, kPlain, kNone, kJsonl };

void set_log(Level level, ProgressMode progress, bool color);
/// One line `text` on stderr, unless -q; a warning has "warning: " in front. A running bar is redrawn below it.
void info(const std::string& text);
void warn(const std::string& text);
void debug(const std::string& text);
/// One JSON line on stderr where --progress jsonl was asked for: {"event": event, ...}; else nothing.
void event(const std::string& name, nlohmann::json values);

/// Progress of one phase: a bar on a terminal, one plain line per 5 % or 30 s in a log, JSON lines on request.
///   epoch 3/10  62%|####      | 120/195 [00:12<00:07, 10.1 it/s, loss=0.312]
class Progress {
 public:
  Progress(std::string phase, std::int64_t total);
  ~Progress();
  /// `done` of total, with a short note ("loss=0.312"). Cheap: draws at most ten times a second.
  void update(std::int64_t done, const std::string& note = "");
  /// Ends the bar and leaves a last line.
  void finish(const std::string& note = "");

 private:
  struct State;
  State* state_;
};

}  // namespace ds::core
