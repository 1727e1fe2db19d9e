#include <fmt/format.h>

#include "base/commands/eval_options.h"
#include "base/core/error.h"
#include "base/core/yaml.h"
#include "base/io/files.h"
#include "engine/commands/session.h"

namespace ds::commands {
namespace {

constexpr std::int64_t kMostConfusion = 100;  ///< classes; a larger matrix is no reading matter

void write_predictions(const std::string& path, const train::Evaluation& evaluation) {
  std::string text = "id,label,prediction,confidence\n";
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i)
    text += fmt::format("{},{},{},{:.6f}\n", evaluation.ids[i], evaluation.labels[i], evaluation.predictions[i], evaluation.confidences[i]);
  io::write_file(path, text);
}

/// The metric of a gate, by its name with or without the split. Throws ds::Error(kUsage) where there is none.
double metric(const Json& metrics, const std::string& name, const std::string& split) {
  for (const std::string& key : {name, split + "_" + name})
    if (metrics.contains(key) && metrics[key].is_number()) return metrics[key].get<double>();
  std::string known;
  for (const auto& [key, value] : metrics.items()) known += (known.empty() ? "" : ", ") + key;
  throw Error(Exit::kUsage, "--min-metric", fmt::format("there is no metric '{}'", name), "one of " + known);
}

void check_gates(const EvalCommand& o, const Json& metrics) {
  std::vector<Error> missed;
  for (const std::string& text : o.min_metric) {
    const Gate gate = parse_gate(text);
    const double value = metric(metrics, gate.metric, o.split);
    if (!(value >= gate.least))
      missed.emplace_back(Exit::kGate, "--min-metric", fmt::format("{} is {:.6g}, at least {} was asked for", gate.metric, value, gate.least));
  }
  throw_errors(missed);
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const EvalCommand&>(base);
  Opened opened = open_model("model", o.input, record);
  const data::Dataset& data = open_data(opened, o.data);
  const data::Split& split = data.split(o.split);
  record["data"] = {{"name", data.spec}, {"fingerprint", data.fingerprint}, {"split", o.split}, {"n", split.size()}};
  if (o.common.dry_run) {
    record["metrics"] = figures(opened.model.graph);
    return;
  }
  exec::Executor executor(opened.model);
  const Json& preprocessing = opened.checkpoint.preprocessing.is_null() ? data.preprocessing : opened.checkpoint.preprocessing;
  const train::Evaluation evaluation = train::evaluate(executor, split, preprocessing, data.num_classes, o.batch_size, true);
  Json metrics = evaluation.metrics(o.split);
  metrics.update(figures(opened.model.graph));
  record["metrics"] = metrics;
  if (!data.labels.empty()) record["labels"] = data.labels;
  if (data.num_classes <= kMostConfusion) record["confusion"] = evaluation.confusion;  // [label][prediction]
  check_gates(o, metrics);
  if (!o.predictions.empty()) {
    write_predictions(o.predictions, evaluation);
    record["predictions"] = io::absolute(o.predictions);
  }
}

const core::Body<core::Command> body{"command", "eval", run};

}  // namespace
}  // namespace ds::commands
