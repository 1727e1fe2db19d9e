// ds-tune init, tell, status and best: what needs no sampler, so no LibTorch.
#include <fmt/format.h>

#include <cmath>

#include "base/commands/tune_options.h"
#include "base/commands/tune_study.h"
#include "base/core/log.h"
#include "base/core/yaml.h"
#include "base/report/table.h"

namespace ds::commands {
namespace tune_commands {

Json sampler_json(const TuneCommand& o) {
  Json sampler{{"name", o.sampler.name}};
  if (o.sampler.options) sampler.update(core::to_json(*o.sampler.options));
  return sampler;
}

std::string number(double value) { return fmt::format("{:.6g}", value); }

void init(const TuneCommand& o, core::Record& record) {
  if (o.space.empty()) throw Error(Exit::kUsage, "--space", "is required: what to search");
  if (TuneStudy::exists(o.folder())) throw Error(Exit::kUsage, o.folder(), "is a study already", "ds-tune run goes on with it");
  record.input("space", o.space, "");
  const TuneSpace space = TuneSpace::read(o.space);
  record["space"] = {{"parameters", space.parameters.size()}, {"configurations", space.size() == 0 ? Json(nullptr) : Json(space.size())}};
  if (space.first) record["space"]["default"] = *space.first;
  if (o.common.dry_run) return;
  TuneStudy::create(o.folder(), o.space, sampler_json(o), o.common.seed);
  record.output("study", o.folder(), "");
}

/// `run` and others with --dry-run: everything that can be wrong before the first trial.
void check(const TuneCommand& o, core::Record& record) {
  const bool there = TuneStudy::exists(o.folder());
  if (!there && o.space.empty()) throw Error(Exit::kUsage, "--space", "is required: what to search", fmt::format("'{}' is no study yet", o.folder()));
  const TuneSpace space = o.space.empty() ? TuneStudy::open(o.folder()).space() : TuneSpace::read(o.space);
  record["space"] = {{"parameters", space.parameters.size()}, {"configurations", space.size() == 0 ? Json(nullptr) : Json(space.size())}};
  if (space.first) record["space"]["default"] = *space.first;
}

void tell(const TuneCommand& o, core::Record& record) {
  const TuneStudy study = TuneStudy::open(o.folder());
  const std::vector<TuneTrial> trials = study.trials();
  const auto found = std::find_if(trials.begin(), trials.end(), [&](const TuneTrial& trial) { return trial.id == o.trial; });
  if (found == trials.end()) throw Error(Exit::kUsage, "--trial", fmt::format("no trial {}, the study has {}", o.trial, trials.size()));
  if (found->finished())
    throw Error(Exit::kUsage, "--trial",
                fmt::format("trial {} has a result: {}", o.trial, found->state == TuneTrial::State::kDone ? number(found->value) : "failed"));
  if (found->state == TuneTrial::State::kRunning) throw Error(Exit::kUsage, "--trial", fmt::format("trial {} is being run", o.trial), "wait for it");
  double value = o.value;
  if (!o.result.empty()) {
    const TuneMetric metric = read_metric(o.result, study.space().metric);
    if (!metric.value) throw Error(Exit::kInput, o.result, metric.problem);
    value = *metric.value;
  }
  const bool failed = o.failed || !std::isfinite(value);
  const std::string reason = !o.reason.empty() ? o.reason : o.failed ? "told" : fmt::format("{} is {}", study.space().metric, value);
  if (o.common.dry_run) return;
  const Json result = failed ? Json{{"status", "failed"}, {"reason", reason}} : Json{{"status", "done"}, {"value", value}};
  if (!study.finish(o.trial, result)) throw Error(Exit::kUsage, "--trial", fmt::format("trial {} has got a result from elsewhere", o.trial));
  record["trial"] = o.trial;
  record["parameters"] = found->parameters;
  record["metrics"][study.space().metric] = failed ? Json(nullptr) : Json(value);
}

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_number_float() ? core::yaml_number(value.get<double>()) : value.dump();
}

/// A row a trial, with a star at the best.
std::string status_text(const TuneStudy& study, const std::vector<TuneTrial>& trials, const TuneTrial* best) {
  report::Table table{{{"trial"}, {study.space().metric}, {"state", false}, {"seconds"}}, {}};
  for (const TuneParameter& p : study.space().parameters) table.columns.push_back({p.path, !p.categorical()});
  const bool reasons = std::any_of(trials.begin(), trials.end(), [](const TuneTrial& trial) { return !trial.reason.empty(); });
  if (reasons) table.columns.push_back({"reason", false});
  for (const TuneTrial& trial : trials) {
    std::vector<std::string> row{(&trial == best ? "* " : "") + std::to_string(trial.id), trial.state == TuneTrial::State::kDone ? number(trial.value) : "",
                                 state_name(trial.state), trial.elapsed_s > 0 ? fmt::format("{:.1f}", trial.elapsed_s) : ""};
    for (const TuneParameter& p : study.space().parameters) row.push_back(value_text(trial.parameters.value(p.path, Json())));
    if (reasons) row.push_back(trial.reason);
    table.rows.push_back(std::move(row));
  }
  return table.text();
}

std::string status_csv(const TuneStudy& study, const std::vector<TuneTrial>& trials) {
  std::vector<std::string> keys{"trial", study.space().metric, "state", "seconds", "reason"};
  for (const TuneParameter& p : study.space().parameters) keys.push_back(p.path);
  Json rows = Json::array();
  for (const TuneTrial& trial : trials) {
    Json row = trial.parameters;
    row.update({{"trial", trial.id}, {"state", state_name(trial.state)}, {"reason", trial.reason}});
    if (trial.state == TuneTrial::State::kDone) row[study.space().metric] = trial.value;
    if (trial.elapsed_s > 0) row["seconds"] = trial.elapsed_s;
    rows.push_back(std::move(row));
  }
  return report::csv(keys, rows);
}

void status(const TuneCommand& o, core::Record& record) {
  const TuneStudy study = TuneStudy::open(o.folder());
  const std::vector<TuneTrial> trials = study.trials();
  const TuneTrial* best = study.best(trials);
  record.input("study", o.folder(), "");
  record["sampler"] = study.sampler();
  record["seed"] = study.seed();
  record["trials"] = Json::array();
  Json counts = Json::object();
  for (const TuneTrial& trial : trials) {
    Json entry{{"trial", trial.id}, {"state", state_name(trial.state)}, {"parameters", trial.parameters}};
    if (trial.state == TuneTrial::State::kDone) entry[study.space().metric] = trial.value;
    if (!trial.reason.empty()) entry["reason"] = trial.reason;
    record["trials"].push_back(entry);
    counts[state_name(trial.state)] = counts.value(state_name(trial.state), 0) + 1;
  }
  record["counts"] = counts;
  if (best != nullptr) record["best"] = {{"trial", best->id}, {"parameters", best->parameters}, {"value", best->value}};
  if (o.common.format == "csv") record.text = status_csv(study, trials);
  if (o.common.format == "auto" || o.common.format == "table") record.text = status_text(study, trials, best);
}

void best(const TuneCommand& o, core::Record& record) {
  const TuneStudy study = TuneStudy::open(o.folder());
  const std::vector<TuneTrial> trials = study.trials();
  const TuneTrial* best = study.best(trials);
  if (best == nullptr) throw Error(Exit::kInput, o.folder(), fmt::format("no trial has a result yet, of {}", trials.size()));
  record.input("study", o.folder(), "");
  record["trial"] = best->id;
  record["parameters"] = best->parameters;
  record["metrics"][study.space().metric] = best->value;
  if (o.common.format != "auto") return;
  const auto done = std::count_if(trials.begin(), trials.end(), [](const TuneTrial& trial) { return trial.finished(); });
  record.text = fmt::format("# {} {}: trial {}, best of {}\n", study.space().metric, number(best->value), best->id, done) +
                core::yaml_text(study.space().nested(best->parameters, false));
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const TuneCommand&>(base);
  if (o.action == "init") return init(o, record);
  if (o.action == "tell") return tell(o, record);
  if (o.action == "status") return status(o, record);
  if (o.action == "best") return best(o, record);
  check(o, record);
}

const core::BaseCommand command{"tune-study", run};

}  // namespace tune_commands
}  // namespace ds::commands
