#include "base/core/log.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <mutex>

namespace ds::core {
namespace {

using Clock = std::chrono::steady_clock;

struct Log {
  std::mutex mutex;
  Level level = Level::kInfo;
  ProgressMode mode = ProgressMode::kAuto;
  bool color = false;
  std::string bar;  ///< what stands on the terminal's last line now
};

// Never destroyed: threads may still write while the process ends.
Log& the_log() {
  static Log* log = new Log;
  return *log;
}

bool is_bar_terminal() {
  static const bool terminal = [] {
    const char* term = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string(term) != "dumb";
  }();
  return terminal;
}

bool is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == 0) continue;
    const std::string locale = value;
    return locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

int terminal_width() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// One write a line, so that lines of several processes on one stderr do not mix. A closed stderr is nobody's error.
void put(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto written = ::write(STDERR_FILENO, bytes.data() + done, bytes.size() - done);
    if (written <= 0) return;
    done += static_cast<std::size_t>(written);
  }
}

/// The caller holds the mutex.
void put_line(Log& log, const std::string& line) {
  if (log.bar.empty()) return put(line + "\n");
  put("\r\033[K" + line + "\n" + log.bar);
}

void message(Level level, const char* name, const char* prefix, const char* color, const std::string& text) {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  if (log.level < level) return;
  if (log.mode == ProgressMode::kJsonl)
    return put(nlohmann::json{{"event", "log"}, {"level", name}, {"text", text}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
               "\n");
  put_line(log, log.color && *prefix != 0 ? fmt::format("{}{}\033[0m{}", color, prefix, text) : prefix + text);
}

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::min(std::max(seconds, 0.0), 1e9));
  return s < 3600 ? fmt::format("{:02}:{:02}", s / 60, s % 60) : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string bar_text(double fraction, int width) {
  static const bool blocks = is_utf8();
  const double cells = std::min(std::max(fraction, 0.0), 1.0) * width;
  int full = static_cast<int>(cells);
  std::string text;
  for (int i = 0; i < full; ++i) text += blocks ? "█" : "#";
  if (blocks && full < width) {
    static const char* const parts[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    text += parts[static_cast<int>((cells - full) * 8)];
    ++full;
  }
  return text + std::string(static_cast<std::size_t>(width - full), ' ');
}

}  // namespace

void set_log(Level level, ProgressMode progress, bool color) {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  log.level = level;
  log.mode = progress == ProgressMode::kAuto && !is_bar_terminal() ? ProgressMode::kPlain : progress;
  log.color = color;
}

void info(const std::string& text) { message(Level::kInfo, "info", "", "", text); }
void warn(const std::string& text) { message(Level::kWarn, "warning", "warning: ", "\033[33m", text); }
void debug(const std::string& text) { message(Level::kDebug, "debug", "debug: ", "\033[2m", text); }

void event(const std::string& name, nlohmann::json values) {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  if (log.mode != ProgressMode::kJsonl) return;
  values["event"] = name;
  put(values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

struct Progress::State {
  std::string phase;
  std::int64_t total = 0, done = 0;
  Clock::time_point start = Clock::now(), last_draw = {}, last_line = Clock::now();
  std::int64_t last_part = 0;  ///< twentieths that a plain line was written for
  bool finished = false;

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

  /// "120/195 [00:12<00:07, 10.1 it/s, loss=0.312]"
  std::string figures(const std::string& note) const {
    const double seconds = elapsed(), rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    std::string text = total > 0 ? fmt::format("{}/{} [{}", done, total, clock_text(seconds)) : fmt::format("{} [{}", done, clock_text(seconds));
    if (total > 0 && done < total) text += "<" + (rate > 0 ? clock_text(static_cast<double>(total - done) / rate) : std::string("?"));
    text += rate >= 1 || rate <= 0 ? fmt::format(", {:.1f} it/s", rate) : fmt::format(", {:.1f} s/it", 1 / rate);
    return text + (note.empty() ? "]" : ", " + note + "]");
  }

  int percent() const { return total > 0 ? static_cast<int>(100 * std::min(done, total) / total) : 0; }

  void draw(Log& log, const std::string& note) {
    std::string line = phase;
    if (total > 0) {
      const std::string tail = "| " + figures(note);
      const int room = terminal_width() - 1 - static_cast<int>(phase.size() + tail.size()) - 7;
      line += fmt::format(" {:>3}%|", percent()) + bar_text(static_cast<double>(done) / static_cast<double>(total), std::min(std::max(room, 4), 30)) +
              tail;
    } else {
      line += " " + figures(note);
    }
    log.bar = line;
    put("\r\033[K" + line);
  }

  void plain(Log& log, const std::string& note) {
    last_line = Clock::now();
    put_line(log, total > 0 ? fmt::format("{}: {:>3}% {}", phase, percent(), figures(note)) : fmt::format("{}: {}", phase, figures(note)));
  }

  void json(const std::string& note, bool last) {
    const double seconds = elapsed();
    nlohmann::json values{
        {"event", "progress"}, {"phase", phase}, {"step", done}, {"total", total}, {"elapsed_s", std::round(seconds * 1000) / 1000}};
    if (total > 0 && done > 0)
      values["eta_s"] = std::round(seconds * static_cast<double>(std::max<std::int64_t>(total - done, 0)) / static_cast<double>(done) * 1000) / 1000;
    if (!note.empty()) values["note"] = note;
    if (last) values["done"] = true;
    put(values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
};

Progress::Progress(std::string phase, std::int64_t total) : state_(new State) {
  state_->phase = std::move(phase);
  state_->total = total;
}

Progress::~Progress() {
  if (!state_->finished) {
    Log& log = the_log();
    const std::lock_guard lock(log.mutex);
    // Left by an exception: the bar stays on the screen as it was, what follows begins on a new line.
    if (!log.bar.empty()) put("\n");
    log.bar.clear();
  }
  delete state_;
}

void Progress::update(std::int64_t done, const std::string& note) {
  State& s = *state_;
  s.done = done;
  const auto now = Clock::now();
  if (now - s.last_draw < std::chrono::milliseconds(100)) return;
  s.last_draw = now;
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  if (log.level < Level::kInfo || log.mode == ProgressMode::kNone) return;
  if (log.mode == ProgressMode::kAuto) return s.draw(log, note);
  // A line each 5 %, but none within a second of the last: a run of many short epochs must not flood a batch log.
  // The last one is finish()'s.
  if (s.total > 0 && done >= s.total) return;
  const std::int64_t part = s.total > 0 ? 20 * done / s.total : 0;
  const bool due = (part > s.last_part && now - s.last_line >= std::chrono::seconds(1)) || now - s.last_line >= std::chrono::seconds(30);
  if (log.mode == ProgressMode::kJsonl ? now - s.last_line >= std::chrono::seconds(1) : due) {
    s.last_part = part;
    s.last_line = now;
    log.mode == ProgressMode::kJsonl ? s.json(note, false) : s.plain(log, note);
  }
}

void Progress::finish(const std::string& note) {
  State& s = *state_;
  if (s.finished) return;
  s.finished = true;
  if (s.total > 0) s.done = s.total;
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  if (log.level < Level::kInfo || log.mode == ProgressMode::kNone) return;
  if (log.mode == ProgressMode::kJsonl) return s.json(note, true);
  if (log.mode == ProgressMode::kPlain) return s.plain(log, note);
  s.draw(log, note);
  put("\n");
  log.bar.clear();
}

}  // namespace ds::core
