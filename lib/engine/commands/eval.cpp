#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/commands/eval_options.h"
#include "base/core/error.h"
#include "base/core/signals.h"
#include "base/io/files.h"
#include "base/report/table.h"
#include "engine/commands/session.h"
#include "engine/exec/memory.h"

namespace ds::commands {
namespace {

constexpr std::int64_t kMostConfusion = 100;  ///< classes; a larger matrix is no reading matter

void write_predictions(const std::string& path, const train::Evaluation& evaluation, const data::Dataset& data) {
  std::string text = "id,label,prediction,confidence\n";
  if (evaluation.truth.defined()) {
    std::vector<std::string> columns_of = {"id"};
    for (const std::string& name : data.values) columns_of.insert(columns_of.end(), {name, name + "_predicted"});
    text = report::csv(columns_of, Json::array());
    const auto columns = static_cast<std::size_t>(evaluation.truth.size(1));
    const auto *truth = evaluation.truth.const_data_ptr<double>(), *predicted = evaluation.predicted.const_data_ptr<double>();
    for (std::size_t i = 0; i < evaluation.ids.size(); ++i) {
      text += std::to_string(evaluation.ids[i]);
      for (std::size_t c = 0; c < columns; ++c) text += fmt::format(",{},{}", truth[i * columns + c], predicted[i * columns + c]);
      text += '\n';
    }
  }
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i)
    text += fmt::format("{},{},{},{:.6f}\n", evaluation.ids[i], evaluation.labels[i], evaluation.predictions[i], evaluation.confidences[i]);
  io::write_file(path, text);
}

/// The metric of a gate, by its name with or without the split. Throws ds::Error(kUsage) where there is none.
double metric(const Json& metrics, const std::string& name, const std::string& split, const char* flag) {
  for (const std::string& key : {name, split + "_" + name})
    if (metrics.contains(key) && metrics[key].is_number()) return metrics[key].get<double>();
  std::string known;
  for (const auto& [key, value] : metrics.items()) known += (known.empty() ? "" : ", ") + key;
  throw Error(Exit::kUsage, flag, fmt::format("there is no metric '{}'", name), "one of " + known);
}

void check_gates(const EvalCommand& o, const Json& metrics) {
  std::vector<Error> missed;
  for (const std::string& text : o.min_metric) {
    const Gate gate = parse_gate("--min-metric", text);
    const double value = metric(metrics, gate.metric, o.split, "--min-metric");
    if (!(value >= gate.bound))
      missed.emplace_back(Exit::kGate, "--min-metric", fmt::format("{} is {:.6g}, at least {} was asked for", gate.metric, value, gate.bound));
  }
  for (const std::string& text : o.max_metric) {
    const Gate gate = parse_gate("--max-metric", text);
    const double value = metric(metrics, gate.metric, o.split, "--max-metric");
    if (!(value <= gate.bound))
      missed.emplace_back(Exit::kGate, "--max-metric", fmt::format("{} is {:.6g}, at most {} was asked for", gate.metric, value, gate.bound));
  }
  throw_errors(missed);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A quantile of sorted seconds with the order statistics that hold it with 95 % (binomial, normal approximation).
void put_quantile(Json& metrics, const std::string& name, const std::vector<double>& sorted, double q) {
  const double n = static_cast<double>(sorted.size()), half = 1.96 * std::sqrt(n * q * (1 - q)), last = n - 1;
  const auto at = [&](double place) { return sorted[static_cast<std::size_t>(std::clamp(std::round(place), 0.0, last))]; };
  metrics[name] = at(q * last);
  metrics[name + "_low"] = at(q * n - half - 1);
  metrics[name + "_high"] = at(q * n + half);
}

/// Seconds of a call with one sample, of at most 200 calls in some 0.3 s. ds-bench measures with care.
void put_latency(Json& metrics, exec::Executor& executor, const data::Split& split, const Json& preprocessing) {
  constexpr int kWarm = 3, kMost = 200, kLeast = 20;
  const c10::InferenceMode inference;
  std::vector<double> seconds;
  double total = 0;
  for (int call = -kWarm; call < kMost && (call < kLeast || total < 0.3); ++call) {
    core::stop_if_requested();
    const data::Batch batch = data::batch_of(split, preprocessing, (call + kWarm) % split.size(), 1);
    const auto begin = std::chrono::steady_clock::now();
    executor.run(batch.inputs, exec::RunContext{});
    total += seconds_since(begin);
    if (call >= 0) seconds.push_back(seconds_since(begin));
    if (total > 10) break;
  }
  if (seconds.empty()) return;
  std::sort(seconds.begin(), seconds.end());
  put_quantile(metrics, "latency_p50_s", seconds, 0.5);
  put_quantile(metrics, "latency_p99_s", seconds, 0.99);
}

/// A row a figure, with its interval where it has one.
report::Table figures_table(const Json& metrics) {
  report::Table table{{{"metric", false}, {"value"}, {"low"}, {"high"}}, {}};
  for (const auto& [key, value] : metrics.items()) {
    if (!value.is_number() || ((key.ends_with("_low") || key.ends_with("_high")))) continue;
    const auto number = [&](const std::string& name) {
      if (!metrics.contains(name)) return std::string();
      return metrics[name].is_number_float() ? fmt::format("{:.6g}", metrics[name].get<double>()) : metrics[name].dump();
    };
    table.rows.push_back({key, number(key), number(key + "_low"), number(key + "_high")});
  }
  return table;
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const EvalCommand&>(base);
  Opened opened = open_model("model", o.input, record, o.adapter);
  const data::Dataset& data = open_data(opened, o.data);
  const data::Split& split = data.split(o.split);
  record["data"] = {{"name", data.spec}, {"fingerprint", data.fingerprint}, {"split", o.split}, {"n", split.size()}};
  if (o.common.dry_run) {
    record["metrics"] = figures(opened.model.graph);
    return;
  }
  exec::Executor executor(opened.model);
  const Json& preprocessing = opened.checkpoint.preprocessing.is_null() ? data.preprocessing : opened.checkpoint.preprocessing;
  // Pairs stay together.
  const std::int64_t batch_size = data::of_pairs(split.tokens.target) ? (o.batch_size + 1) / 2 * 2 : o.batch_size;
  if (!o.predictions.empty() && data::of_vectors(split.tokens.target))
    throw Error(Exit::kUsage, "--predictions", fmt::format("data '{}' ask for vectors, which predict nothing", data.spec), "ds-predict prints them");
  const auto begin = std::chrono::steady_clock::now();
  const train::Evaluation evaluation = train::evaluate(executor, split, preprocessing, data.num_classes, batch_size, true, /*detailed=*/true);
  const double seconds = seconds_since(begin);
  Json metrics = evaluation.metrics(o.split);
  if (!o.common.reproducible) {
    metrics["samples_per_sec"] = static_cast<double>(split.size()) / std::max(seconds, 1e-9);
    metrics["peak_mem_bytes"] = exec::memory_use().peak;
    put_latency(metrics, executor, split, preprocessing);
  }
  metrics.update(figures(opened.model.graph));
  record["metrics"] = metrics;
  if (!data.labels.empty()) record["labels"] = data.labels;
  if (evaluation.classes > 0 && data.num_classes <= kMostConfusion) record["confusion"] = evaluation.confusion;  // [label][prediction]
  if (o.common.format == "table") record.text = figures_table(metrics).text();
  if (o.common.format == "csv") record.text = figures_table(metrics).csv();
  check_gates(o, metrics);
  if (!o.predictions.empty()) {
    write_predictions(o.predictions, evaluation, data);
    record["predictions"] = io::absolute(o.predictions);
  }
}

const core::Body<core::Command> body{"command", "eval", run};

}  // namespace
}  // namespace ds::commands
