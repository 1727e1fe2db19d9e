// ds-tune init, tell, status and best: what needs no sampler, so no LibTorch.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/commands/tune_options.h"
#include "base/commands/tune_study.h"
#include "base/core/log.h"
#include "base/core/yaml.h"

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
  if (found->finished()) throw Error(Exit::kUsage, "--trial", fmt::format("trial {} has a result: {}", o.trial, found->state == TuneTrial::State::kDone ? number(found->value) : "failed"));
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

/// Rows of text with columns of one width; the last one is as long as it is.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i >= widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += (i == 0 ? "" : "  ") + (i < 2 ? fmt::format("{:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]));
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string status_text(const TuneStudy& study, const std::vector<TuneTrial>& trials, const TuneTrial* best, bool csv) {
  std::vector<std::vector<std::string>> rows{{"trial", study.space().metric, "state", "seconds"}};
  if (csv) rows[0].push_back("reason");
  for (const TuneParameter& p : study.space().parameters) rows[0].push_back(p.path);
  if (!csv) rows[0].push_back("");
  for (const TuneTrial& trial : trials) {
    const bool done = trial.state == TuneTrial::State::kDone;
    rows.push_back({(!csv && &trial == best ? "* " : "") + std::to_string(trial.id), done ? csv ? core::yaml_number(trial.value) : number(trial.value) : "",
                    state_name(trial.state), trial.elapsed_s > 0 ? fmt::format("{:.1f}", trial.elapsed_s) : ""});
    if (csv) rows.back().push_back(trial.reason);
    for (const TuneParameter& p : study.space().parameters) {
      const Json value = trial.parameters.value(p.path, Json());
      rows.back().push_back(value.is_string() ? value.get<std::string>() : value.is_number_float() ? core::yaml_number(value.get<double>()) : value.dump());
    }
    if (!csv) rows.back().push_back(trial.reason);
  }
  if (!csv) return table(rows);
  std::string text;
  for (const auto& row : rows) {
    std::vector<std::string> cells;
    for (const std::string& cell : row) cells.push_back(csv_cell(cell));
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
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
  if (o.common.format != "json") record.text = status_text(study, trials, best, o.common.format == "csv");
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
  if (o.common.format == "json") return;
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
