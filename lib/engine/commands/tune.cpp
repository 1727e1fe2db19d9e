// ds-tune run, ask and replay: what asks a sampler.
#include <fmt/format.h>

#include "base/commands/tune_options.h"
#include "base/core/log.h"
#include "engine/tune/ask.h"
#include "engine/tune/runner.h"

namespace ds::commands {
namespace {

/// "gp (warp none)": the name, and options that are not as they are by default.
std::string sampler_text(const Json& sampler) {
  const std::string name = sampler.value("name", "");
  const Json usual = core::to_json(*core::Choice("sampler", name).options);
  std::string options;
  for (const auto& [key, value] : sampler.items())
    if (key != "name" && (!usual.contains(key) || usual[key] != value))
      options += fmt::format("{}{} {}", options.empty() ? "" : ", ", key, value.is_string() ? value.get<std::string>() : value.dump());
  return options.empty() ? name : fmt::format("{} ({})", name, options);
}

/// The study of -o, made where there is none.
TuneStudy open_study(const TuneCommand& o) {
  Json sampler{{"name", o.sampler.name}};
  if (o.sampler.options) sampler.update(core::to_json(*o.sampler.options));
  if (!TuneStudy::exists(o.folder())) {
    if (o.space.empty()) throw Error(Exit::kUsage, "--space", "is required: what to search", fmt::format("'{}' is no study yet", o.folder()));
    return TuneStudy::create(o.folder(), o.space, sampler, o.common.seed);
  }
  TuneStudy study = TuneStudy::open(o.folder());
  if (!o.space.empty() && TuneSpace::read(o.space).to_json() != study.space().to_json())
    throw Error(Exit::kUsage, "--space", fmt::format("'{}' is another space than that of the study in '{}'", o.space, o.folder()),
                "give a new folder, or leave --space out");
  if (sampler != study.sampler())
    core::warn(fmt::format("{}: goes on with the sampler it was begun with: {}", o.folder(), sampler_text(study.sampler())));
  if (o.common.seed != study.seed()) core::warn(fmt::format("{}: goes on with the seed it was begun with: {}", o.folder(), study.seed()));
  return study;
}

void put_best(const TuneStudy& study, core::Record& record) {
  const std::vector<TuneTrial> trials = study.trials();
  std::int64_t done = 0, failed = 0, lost = 0;
  for (const TuneTrial& trial : trials) {
    done += trial.state == TuneTrial::State::kDone;
    failed += trial.state == TuneTrial::State::kFailed;
    lost += trial.state == TuneTrial::State::kLost;
  }
  record["trials"] = {{"done", done}, {"failed", failed}, {"lost", lost}, {"open", static_cast<std::int64_t>(trials.size()) - done - failed - lost}};
  const TuneTrial* best = study.best(trials);
  if (best == nullptr) return;
  record["best"] = {{"trial", best->id}, {"parameters", best->parameters}};
  record["metrics"][study.space().metric] = best->value;
}

void run_study(const TuneCommand& o, core::Record& record) {
  const TuneStudy study = open_study(o);
  tune::RunnerOptions options;
  options.command = o.command;
  options.trials = o.trials;
  options.parallel = o.parallel;
  options.reproducible = o.common.reproducible;
  tune::RunnerReport report;
  try {
    report = tune::run_trials(study, options);
  } catch (const Error&) {
    put_best(study, record);
    throw;
  }
  put_best(study, record);
  record["ran"] = report.ran;
  if (report.ran == 0) core::info(fmt::format("{}: nothing to do, it has its {} trials", o.folder(), study.trials().size()));
  if (!record.fields.contains("best")) {
    const std::vector<TuneTrial> trials = study.trials();
    throw Error(Exit::kFailure, o.folder(),
                fmt::format("no trial of {} has a result{}", trials.size(), trials.empty() ? "" : ", the last: " + trials.back().reason));
  }
  record.output("study", o.folder(), "");
}

void ask_study(const TuneCommand& o, core::Record& record) {
  const TuneStudy study = TuneStudy::open(o.folder());
  const auto trial = tune::ask(study, o.trials, true);
  if (!trial) throw Error(Exit::kGate, o.folder(), fmt::format("all {} configurations of the space have been tried", study.space().size()));
  record["trial"] = trial->id;
  record["parameters"] = trial->parameters;
  record["why"] = study.ask(trial->id).at("why");
  record.output("config", study.trial_folder(trial->id) + "/config.yaml", "");
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const TuneCommand&>(base);
  if (o.action == "run") return run_study(o, record);
  if (o.action == "ask") return ask_study(o, record);
  const TuneStudy study = TuneStudy::open(o.folder());
  record["metrics"]["equal_suggestions"] = tune::replay(study);
}

const core::Body<core::Command> body{"command", "tune", run};

}  // namespace
}  // namespace ds::commands
