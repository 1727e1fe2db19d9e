// A study of ds-tune: a folder that grows by files which are each written once, so that any number of processes may work in it and any of
// them may be killed.
//
//   space.yaml             as it was given
//   study.json             seed, sampler, space as it was understood
//   trials/000001/ask.json        configuration, and what it was made from: trials seen and pending
//                  config.yaml    for the command: base, fixed and parameters
//                  claim.1        who runs the first attempt: host, pid
//                  end.1.json     that attempt ended without a result: "lost" (a signal, exit code 75) or "stopped" (with the study)
//                  result.json    value, or failed and why
//                  record.yaml, log.txt   stdout and stderr of the command
#pragma once
#include <optional>

#include "base/commands/tune_space.h"

namespace ds::commands {

struct TuneTrial {
  enum class State {
    kWaiting,  ///< to be run: never begun, or its attempt ended without a result
    kRunning,  ///< claimed by a process that lives
    kAsked,    ///< handed out by `ask`, its result is told
    kDone, kFailed,
    kLost,     ///< ended by signals too often
  };
  std::int64_t id = 0;        ///< from 1
  State state = State::kWaiting;
  Json parameters;            ///< flat
  double value = 0;           ///< of a done one
  std::string reason;         ///< of a failed or lost one
  std::int64_t attempts = 0, lost = 0;
  double elapsed_s = 0;
  bool finished() const { return state == State::kDone || state == State::kFailed; }
  bool open() const { return !finished() && state != State::kLost; }
};
const char* state_name(TuneTrial::State state);

class TuneStudy {
 public:
  /// A trial is begun again after so many signals.
  static constexpr std::int64_t kRequeues = 2;
  /// A claim of another host that was not renewed for so long is dead.
  static constexpr double kLeaseSeconds = 600;

  /// Makes the folder and its study.json. Throws ds::Error(kUsage) where the folder has other things in it; kResource.
  static TuneStudy create(const std::string& folder, const std::string& space_file, const Json& sampler, std::int64_t seed);
  /// Throws ds::Error(kInput) where the folder is no study.
  static TuneStudy open(const std::string& folder);
  static bool exists(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const TuneSpace& space() const { return space_; }
  const Json& sampler() const { return sampler_; }  ///< {"name": ..., options}
  std::int64_t seed() const { return seed_; }

  /// All trials as they stand now, by id.
  std::vector<TuneTrial> trials() const;
  /// The best of those done, lowest id first among equals; nullptr where none is.
  const TuneTrial* best(const std::vector<TuneTrial>& trials) const;

  /// Files of a trial.
  std::string trial_folder(std::int64_t id) const;
  Json ask(std::int64_t id) const;

  /// Makes trial `id`, claimed by this process ("run") or handed out ("ask"). False where another process was first.
  bool add(std::int64_t id, const Json& ask, bool handed_out) const;
  /// Claims a waiting trial's next attempt. False where another process was first.
  bool claim(const TuneTrial& trial) const;
  /// Says that this process still lives, to those on other hosts.
  void renew(std::int64_t id, std::int64_t attempt) const;
  /// The attempt ended without a result: "lost" or "stopped".
  void end_attempt(std::int64_t id, std::int64_t attempt, const std::string& kind, const std::string& reason) const;
  /// The trial's result; false where it has one already. `result`: {"status": "done", "value": x} or {"status": "failed", "reason": text}, and more.
  bool finish(std::int64_t id, const Json& result) const;

 private:
  TuneTrial read(std::int64_t id) const;
  std::string folder_;
  TuneSpace space_;
  Json sampler_;
  std::int64_t seed_ = 0;
};

/// The metric in the record that a trial printed; a number, or what is wrong with it.
struct TuneMetric {
  std::optional<double> value;
  std::string problem;
};
TuneMetric read_metric(const std::string& record_file, const std::string& metric);

/// "optim.lr=0.003 model.width=32"
std::string configuration_text(const TuneSpace& space, const Json& parameters);

}  // namespace ds::commands
