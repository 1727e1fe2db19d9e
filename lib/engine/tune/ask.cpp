#include "engine/tune/ask.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/core/signals.h"
#include "base/core/tool.h"

namespace ds::tune {
namespace {

using commands::TuneStudy;
using commands::TuneTrial;

/// The task of trial `id`: results of `seen`, configurations of `pending`, and nothing else of the study but what is taken.
Task make_task(const TuneStudy& study, const std::vector<TuneTrial>& trials, std::int64_t id, std::int64_t planned, const std::vector<std::int64_t>& seen,
               const std::vector<std::int64_t>& pending) {
  Task task;
  task.space = &study.space();
  task.seed = static_cast<std::uint64_t>(study.seed());
  task.trial = id;
  task.planned = planned;
  const auto among = [](const std::vector<std::int64_t>& ids, std::int64_t x) { return std::find(ids.begin(), ids.end(), x) != ids.end(); };
  for (const TuneTrial& trial : trials) {
    if (trial.id >= id) continue;
    task.taken.insert(trial.parameters.dump());
    if (among(pending, trial.id)) task.pending.push_back(trial.parameters);
    if (!among(seen, trial.id)) continue;
    if (!trial.finished()) throw Error(Exit::kInput, study.trial_folder(trial.id), fmt::format("trial {} was made from its result, which is gone", id));
    const double value = trial.state == TuneTrial::State::kDone ? trial.value : std::nan("");
    task.seen.push_back({trial.id, trial.parameters, study.space().maximize ? value : -value});
  }
  return task;
}

Suggestion suggest_alone(const core::Choice& sampler, const Task& task) {
  at::set_num_threads(1);  // small matrices; and sums in one order, whatever the machine
  return suggest(sampler, task);
}

}  // namespace

core::Choice study_sampler(const TuneStudy& study) {
  Json options = study.sampler();
  core::Choice choice("sampler", options.value("name", "gp"));
  options.erase("name");
  core::from_json(*choice.options, options, study.folder() + "/study.json");
  return choice;
}

std::optional<TuneTrial> ask(const TuneStudy& study, std::int64_t planned, bool handed_out) {
  const core::Choice sampler = study_sampler(study);
  for (;;) {
    const std::vector<TuneTrial> trials = study.trials();
    const std::int64_t id = trials.empty() ? 1 : trials.back().id + 1;
    std::vector<std::int64_t> seen, pending;
    for (const TuneTrial& trial : trials) {
      if (trial.finished()) seen.push_back(trial.id);
      if (trial.open()) pending.push_back(trial.id);
    }
    const Suggestion suggestion = suggest_alone(sampler, make_task(study, trials, id, planned, seen, pending));
    if (suggestion.parameters.is_null()) return std::nullopt;
    const Json record{{"trial", id},          {"planned", planned}, {"seen", seen}, {"pending", pending}, {"parameters", suggestion.parameters},
                      {"why", suggestion.why}};
    if (!study.add(id, record, handed_out)) continue;  // another process was first: its trial is pending now
    TuneTrial trial;
    trial.id = id;
    trial.state = handed_out ? TuneTrial::State::kAsked : TuneTrial::State::kRunning;
    trial.parameters = suggestion.parameters;
    trial.attempts = handed_out ? 0 : 1;
    return trial;
  }
}

std::int64_t replay(const TuneStudy& study) {
  const core::Choice sampler = study_sampler(study);
  const std::vector<TuneTrial> trials = study.trials();
  for (const TuneTrial& trial : trials) {
    core::stop_if_requested();
    const Json asked = study.ask(trial.id);
    const Task task = make_task(study, trials, trial.id, asked.at("planned").get<std::int64_t>(), asked.at("seen").get<std::vector<std::int64_t>>(),
                                asked.at("pending").get<std::vector<std::int64_t>>());
    const Suggestion again = suggest_alone(sampler, task);
    if (again.parameters != asked.at("parameters") || again.why != asked.at("why"))
      throw Error(Exit::kGate, study.trial_folder(trial.id),
                  fmt::format("trial {} was suggested as {}, now as {}", trial.id, asked.at("parameters").dump(), again.parameters.dump()),
                  "was it made by another version or on another processor?");
  }
  return static_cast<std::int64_t>(trials.size());
}

}  // namespace ds::tune
