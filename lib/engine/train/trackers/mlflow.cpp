#include "base/catalog/tracker/mlflow.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "base/core/signals.h"
#include "base/core/tool.h"
#include "base/io/files.h"
#include "engine/telemetry/mlflow.h"
#include "engine/train/tracking.h"

namespace ds::train::mlflow {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Leaves of a configuration by their dotted paths.
void flatten(const Json& json, const std::string& path, Json& to) {
  for (const auto& [key, value] : json.items()) {
    const std::string here = path.empty() ? key : path + "." + key;
    if (value.is_object())
      flatten(value, here, to);
    else if (!here.starts_with("watch."))  // where a run tells of itself is not what it is
      to[here] = value;
  }
}

/// The run's id on the server is kept in a file while the run is not done, so that a resume goes on in the same.
struct Tracker : Callback {
  Tracker(const catalog::tracker::mlflow::Options& options, const Setting& setting)
      : id_file(beside_run(setting, "mlflow.id")),
        log_file(setting.options.run_dir.empty() ? "" : setting.options.run_dir + "/metrics.jsonl"), sampler(log_interval(setting), false) {
    run.server = io::endpoint(options.mlflow, "watch.mlflow");
    run.experiment = !options.mlflow_experiment.empty() ? options.mlflow_experiment : variable("MLFLOW_EXPERIMENT_NAME");
    if (run.experiment.empty()) run.experiment = "Default";
    run.name = run_name(setting);
    run.spool = beside_run(setting, "mlflow.jsonl");
    params = Json::object();
    flatten(core::invocation().config, "", params);
    params["data.fingerprint"] = setting.data.fingerprint;
    params["model.architecture"] = architecture(setting);
  }

  ~Tracker() override {
    if (server && !done) server->end(core::stop_requested() ? "KILLED" : "FAILED");
  }

  void on_start(Trainer& trainer) override { sampler.start(trainer); }

  void on_batch(Trainer& trainer, data::Batch& batch) override {
    open(trainer);
    sampler.on_batch(trainer, batch);
  }

  void on_step(Trainer& trainer) override {
    keep_id();
    if (!sampler.on_step(trainer)) return;
    std::vector<telemetry::MlflowPoint> points;
    for (const auto& [metric, value] : sampler.values()) points.push_back({metric->tag, value, trainer.step(), telemetry::mlflow_now()});
    server->log(std::move(points));
  }

  void on_epoch(Trainer& trainer, Json& row) override {
    open(trainer);
    std::vector<telemetry::MlflowPoint> points;
    for (const auto& [key, value] : row.items())
      if (value.is_number() && key != "step" && key != "epoch")
        points.push_back({report::epoch_tag(key), value.get<double>(), trainer.step(), telemetry::mlflow_now()});
    server->log(std::move(points));
  }

  void on_finish(Trainer&) override {
    if (!server) return;
    server->end("FINISHED");
    done = true;
    server.reset();
    if (!id_file.empty()) std::filesystem::remove(id_file);
  }

  void open(const Trainer& trainer) {
    if (server) return;
    run.resumed = trainer.step() > 0;
    run.id = variable("MLFLOW_RUN_ID");
    if (run.id.empty() && run.resumed && !id_file.empty() && io::exists(id_file)) run.id = io::read_file(id_file, 1024);
    server = std::make_unique<telemetry::Mlflow>(run, params);
    if (run.resumed) send_missed(trainer.step());
  }

  /// What a killed process had not sent yet is in metrics.jsonl. The server gets of it what it lacks.
  void send_missed(std::int64_t steps) {
    if (log_file.empty() || !io::exists(log_file)) return;
    std::map<std::string, std::string> tags;
    for (const report::Watched& metric : report::watched())
      if (*metric.key) tags[metric.key] = metric.tag;
    std::ifstream in(log_file);
    std::vector<telemetry::MlflowPoint> points;
    for (std::string text; std::getline(in, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer() || line["step"].get<std::int64_t>() > steps) continue;
      const bool epoch = line.value("kind", "") == "epoch";
      for (const auto& [key, value] : line.items())
        if (value.is_number() && key != "step" && key != "epoch" && (epoch || tags.contains(key)))
          points.push_back({epoch ? report::epoch_tag(key) : tags[key], value.get<double>(), line["step"].get<std::int64_t>(), telemetry::mlflow_now()});
      if (points.size() >= 1000) server->log(std::exchange(points, {}));
    }
    if (!points.empty()) server->log(std::move(points));
  }

  void keep_id() {
    if (kept || id_file.empty()) return;
    const std::string id = server->id();
    if (id.empty()) return;
    io::write_file(id_file, id);
    kept = true;
  }

  telemetry::MlflowRun run;
  Json params;
  std::string id_file, log_file;
  Sampler sampler;
  std::unique_ptr<telemetry::Mlflow> server;
  bool done = false, kept = false;
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::mlflow::Options&>(options);
  if (o.mlflow.empty()) return nullptr;
  return std::make_shared<Tracker>(o, setting);
}

const core::Body<MakeTracker> body{"tracker", "mlflow", make};

}  // namespace
}  // namespace ds::train::mlflow
