#include "engine/tune/runner.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/core/yaml.h"
#include "base/io/files.h"
#include "engine/exec/random.h"
#include "engine/tune/ask.h"
#include "engine/tune/child.h"

namespace ds::tune {
namespace {

using Clock = std::chrono::steady_clock;
using commands::TuneStudy;
using commands::TuneTrial;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The line of a log that says what went wrong: the last with "error" in it, else the last.
std::string complaint(const std::string& path) {
  std::ifstream file(path);
  std::string line, last, error;
  while (std::getline(file, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    last = line;
    if (line.find("rror:") != std::string::npos) error = line;
  }
  const std::string text = error.empty() ? last : error;
  return text.size() <= 300 ? text : text.substr(0, 300) + "...";
}

class Runner {
 public:
  Runner(const TuneStudy& study, const RunnerOptions& options) : study_(study), options_(options), metric_(study.space().metric) {
    if (isatty(STDERR_FILENO) == 1) bar_ = std::make_unique<core::Progress>("trials", options.trials);
  }

  ~Runner() {
    // Left by an exception: nobody would look after them.
    for (const Child& child : children_) signal_child(child.pid, SIGTERM);
  }

  RunnerReport run() {
    look();
    bool forwarded = false;
    for (;;) {
      const bool stop = core::stop_requested() || fatal_;
      if (!stop) fill();
      if (stop && !forwarded) {
        forwarded = true;
        for (const Child& child : children_) signal_child(child.pid, SIGTERM);
      }
      if (children_.empty()) break;
      wait();
    }
    if (fatal_) throw *fatal_;
    if (core::stop_requested() && !complete())
      throw Error(Exit::kStopped, study_.folder(), fmt::format("stopped by a signal, with {} of {} trials done", finished_, options_.trials),
                  "the same command goes on with the study");
    if (bar_) bar_->finish(note());
    return report_;
  }

 private:
  struct Child {
    std::int64_t id, attempt;
    Json parameters;
    int pid;
    Clock::time_point start, renewed;
  };

  /// Reads the study anew: other processes may work in it.
  void look() {
    trials_ = study_.trials();
    finished_ = std::count_if(trials_.begin(), trials_.end(), [](const TuneTrial& t) { return !t.open(); });
  }

  bool complete() const { return report_.exhausted || (finished_ >= options_.trials && static_cast<std::int64_t>(trials_.size()) == finished_); }

  std::string note() const {
    const TuneTrial* best = study_.best(trials_);
    return best == nullptr ? "" : fmt::format("best {} {:.6g}, trial {}", metric_, best->value, best->id);
  }

  /// Starts trials until all places are taken or there is nothing to start.
  void fill() {
    while (static_cast<std::int64_t>(children_.size()) < options_.parallel && !core::stop_requested() && !fatal_) {
      look();
      if (bar_) bar_->update(finished_, note());
      const auto waiting = std::find_if(trials_.begin(), trials_.end(), [](const TuneTrial& t) { return t.state == TuneTrial::State::kWaiting; });
      if (waiting != trials_.end()) {
        if (study_.claim(*waiting)) start(*waiting, waiting->attempts + 1);
        continue;
      }
      if (static_cast<std::int64_t>(trials_.size()) >= options_.trials || report_.exhausted) return;
      const auto trial = ask(study_, options_.trials, false);
      if (!trial) {
        report_.exhausted = true;
        core::info(fmt::format("all {} configurations of the space have been tried", study_.space().size()));
        return;
      }
      start(*trial, 1);
    }
  }

  std::vector<std::string> words(const TuneTrial& trial) const {
    const std::string folder = io::absolute(study_.trial_folder(trial.id));
    const std::uint64_t key = exec::stream_key(static_cast<std::uint64_t>(study_.seed()), "trial-seed", std::to_string(trial.id));
    const std::pair<std::string, std::string> known[] = {
        {"{config}", folder + "/config.yaml"}, {"{trial_dir}", folder}, {"{seed}", std::to_string(key & 0x7fffffff)}};
    std::vector<std::string> words = options_.command;
    for (std::string& word : words)
      for (const auto& [from, to] : known)
        for (std::size_t at = word.find(from); at != std::string::npos; at = word.find(from, at + to.size())) word.replace(at, from.size(), to);
    return words;
  }

  void start(const TuneTrial& trial, std::int64_t attempt) {
    const std::string folder = study_.trial_folder(trial.id);
    try {
      const int pid = start_child(words(trial), folder + "/record.yaml", folder + "/log.txt");
      core::debug(fmt::format("trial {}: process {}, attempt {}", trial.id, pid, attempt));
      children_.push_back({trial.id, attempt, trial.parameters, pid, Clock::now(), Clock::now()});
    } catch (const Error& e) {
      study_.end_attempt(trial.id, attempt, "stopped", e.what());
      fatal_ = std::make_unique<Error>(e);
    }
  }

  /// Until a child ends, a signal arrives or a claim has to be renewed.
  void wait() {
    for (std::size_t i = 0; i < children_.size(); ++i) {
      Child& child = children_[i];
      if (seconds_since(child.renewed) > 30) {
        study_.renew(child.id, child.attempt);
        child.renewed = Clock::now();
      }
      const Ending ending = poll_child(child.pid);
      if (!ending.ended) continue;
      const Child ended = child;
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
      judge(ended, ending);
      return;
    }
    if (bar_) bar_->update(finished_, note());
    usleep(10000);
  }

  void judge(const Child& child, const Ending& ending) {
    const std::string folder = study_.trial_folder(child.id), log = folder + "/log.txt";
    const bool stopping = core::stop_requested() || fatal_;
    if (ending.signal != 0 || ending.code == 75) {
      const std::string reason = ending.signal != 0 ? fmt::format("ended by signal {} ({})", ending.signal, ::strsignal(ending.signal))
                                                    : std::string("stopped: exit code 75");
      study_.end_attempt(child.id, child.attempt, stopping ? "stopped" : "lost", reason);
      if (!stopping) core::warn(fmt::format("trial {}: {}{}", child.id, reason, requeued(child.id) ? ", it is run again" : ", too often"));
      return;
    }
    if (ending.code == 0) return judge_record(child, folder + "/record.yaml");
    const std::string said = complaint(log);
    // It was told to stop: how a program that knows no exit code 75 ends then says nothing of the configuration.
    if (stopping) return study_.end_attempt(child.id, child.attempt, "stopped", fmt::format("told to stop: exit code {}", ending.code));
    if ((ending.code >= 2 && ending.code <= 4) || ending.code == 126 || ending.code == 127) {
      study_.end_attempt(child.id, child.attempt, "stopped", said);
      const std::string what = said.empty() ? fmt::format("exit code {} of {}, which said nothing", ending.code, options_.command[0])
                                            : fmt::format("exit code {}: {}", ending.code, said);
      fatal_ = std::make_unique<Error>(ending.code <= 4 ? static_cast<Exit>(ending.code) : Exit::kUsage, fmt::format("trial {}", child.id), what,
                                       "all trials would end so; its log is " + log);
      return;
    }
    finish(child, {{"status", "failed"}, {"reason", fmt::format("exit code {}{}", ending.code, said.empty() ? "" : ": " + said)}});
  }

  bool requeued(std::int64_t id) {
    look();
    for (const TuneTrial& trial : trials_)
      if (trial.id == id) return trial.state != TuneTrial::State::kLost;
    return false;
  }

  void judge_record(const Child& child, const std::string& path) {
    const commands::TuneMetric metric = commands::read_metric(path, metric_);
    if (!metric.value) {
      study_.end_attempt(child.id, child.attempt, "stopped", metric.problem);
      if (!fatal_ && !core::stop_requested())
        fatal_ = std::make_unique<Error>(Exit::kUsage, fmt::format("trial {}", child.id), metric.problem, "metric.name of the space says which one is meant");
      return;
    }
    if (std::isfinite(*metric.value)) return finish(child, {{"status", "done"}, {"value", *metric.value}});
    finish(child, {{"status", "failed"}, {"reason", fmt::format("{} is {}", metric_, core::yaml_number(*metric.value))}});
  }

  void finish(const Child& child, Json result) {
    const double elapsed = std::round(seconds_since(child.start) * 1000) / 1000;
    result["attempt"] = child.attempt;
    if (!options_.reproducible) result["elapsed_s"] = elapsed;
    study_.finish(child.id, result);
    ++report_.ran;
    look();
    const bool done = result["status"] == "done";
    const TuneTrial* best = study_.best(trials_);
    core::event("trial", {{"trial", child.id}, {"result", result}, {"parameters", child.parameters}});
    core::info(fmt::format("trial {}/{}: {}{} in {:.1f} s  {}", child.id, std::max<std::int64_t>(options_.trials, child.id),
                           done ? fmt::format("{} {:.6g}", metric_, result["value"].get<double>()) : "failed, " + result["reason"].get<std::string>(),
                           best == nullptr ? "" : best->id == child.id ? " (best)" : fmt::format(" (best {:.6g}, trial {})", best->value, best->id), elapsed,
                           commands::configuration_text(study_.space(), child.parameters)));
  }

  const TuneStudy& study_;
  const RunnerOptions& options_;
  const std::string metric_;
  std::vector<TuneTrial> trials_;
  std::int64_t finished_ = 0;  ///< trials that need no more running
  std::vector<Child> children_;
  std::unique_ptr<Error> fatal_;
  std::unique_ptr<core::Progress> bar_;
  RunnerReport report_;
};

}  // namespace

RunnerReport run_trials(const TuneStudy& study, const RunnerOptions& options) { return Runner(study, options).run(); }

}  // namespace ds::tune
