#include "base/catalog/tracker/prometheus.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/io/files.h"
#include "engine/telemetry/exporter.h"
#include "engine/telemetry/http.h"
#include "engine/telemetry/outbox.h"
#include "engine/train/tracking.h"

namespace ds::train::prometheus {
namespace {

constexpr double kPushSeconds = 5;

/// Temporary file beside it and rename: the collector sees all of it or the one before. No fsync: after a power cut the machine's figures are old anyway.
std::string write_textfile(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";  // the collector reads *.prom alone
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(temporary, path, failed);
  return !out ? path + ": cannot be written" : failed ? path + ": " + failed.message() : "";
}

struct Tracker : Callback {
  Tracker(const catalog::tracker::prometheus::Options& o, const Setting& setting)
      : options(o),
        norm_interval(log_interval(setting)),
        exporter(std::make_shared<telemetry::Exporter>(o.metrics_job, architecture(setting), run_name(setting))) {
    if (!o.pushgateway.empty()) {
      const io::Endpoint to = io::endpoint(o.pushgateway, "watch.pushgateway");
      gateway = std::make_shared<telemetry::Client>(to, kPushSeconds);
      pushes = std::make_unique<telemetry::Outbox>("push gateway " + to.origin);
    }
    if (!o.metrics_file.empty()) writes = std::make_unique<telemetry::Outbox>("watch.metrics_file");
    serve();
  }

  void serve() {
    if (options.metrics_port < 0) return;
    server = std::make_unique<telemetry::Server>(
        options.metrics_host, static_cast<int>(options.metrics_port), "/metrics", telemetry::kExposition,
        [exporter = exporter] {
          exporter->refresh();
          return exporter->text();
        },
        "watch.metrics_port");
    const std::string url = fmt::format("http://{}:{}/metrics", options.metrics_host, server->port());
    core::info("metrics at " + url);
    core::event("metrics", {{"url", url}});
  }

  void on_start(Trainer& trainer) override {
    trainer.want_gradient_norm(norm_interval);  // in each step it would cost small nets some percent
    for (const char* name : {"ds_train_samples_total", "ds_train_steps_total", "ds_train_skipped_steps_total", "ds_loader_wait_seconds_total"})
      exporter->add(name, 0);
    for (const char* kind : {"loss", "gradient_norm", "loader", "memory"}) exporter->add("ds_alarms_total", 0, kind);
  }

  void on_batch(Trainer& trainer, data::Batch& batch) override {
    if (trainer.data().has_tokens()) exporter->add("ds_train_tokens_total", static_cast<double>(batch.inputs.at(0).numel()));
  }

  void on_step(Trainer& trainer) override {
    const StepFigures& f = trainer.last_step();
    exporter->set("ds_train_loss", f.loss);
    exporter->set("ds_train_learning_rate", f.lr);
    exporter->set("ds_train_loss_scale", f.loss_scale);
    if (std::isfinite(f.gradient_norm)) exporter->set("ds_train_gradient_norm", f.gradient_norm);
    exporter->add("ds_train_samples_total", static_cast<double>(f.samples));
    exporter->add("ds_train_steps_total", 1);
    if (f.skipped) exporter->add("ds_train_skipped_steps_total", 1);
    exporter->observe("ds_step_duration_seconds", f.seconds);
    exporter->add("ds_loader_wait_seconds_total", f.loader_seconds);
    exporter->set("ds_train_progress_ratio", static_cast<double>(trainer.step()) / static_cast<double>(std::max<std::int64_t>(1, trainer.total_steps())));
    exporter->set("ds_train_epoch", static_cast<double>(trainer.epoch()));
    if (pushes || writes) send_if_due();
  }

  void on_epoch(Trainer& trainer, Json& row) override {
    exporter->set("ds_train_epoch", static_cast<double>(trainer.epoch() + 1));
    for (const auto& [key, value] : row.items())
      if (value.is_number() && key != "epoch" && key != "step") exporter->set("ds_epoch_metric", value.get<double>(), key);
    if (pushes || writes) send_if_due();
  }

  void on_alarm(Trainer&, const Alarm& alarm) override {
    exporter->add("ds_alarms_total", 1, alarm.kind);
    send();
  }

  void on_finish(Trainer&) override {
    exporter->set("ds_last_success_timestamp_seconds", static_cast<double>(std::time(nullptr)));
    send();
  }

  void send_if_due() {
    const auto now = std::chrono::steady_clock::now();
    if (now - sent >= std::chrono::duration<double>(options.metrics_interval)) send();
  }

  void send() {
    sent = std::chrono::steady_clock::now();
    if (writes)
      writes->add([exporter = exporter, path = options.metrics_file] { return exporter->refresh(), write_textfile(path, exporter->text()); }, "write");
    if (pushes)
      pushes->add(
          [exporter = exporter, gateway = gateway, path = exporter->push_path()] {
            exporter->refresh();
            return gateway->send({.method = "PUT", .path = path, .body = exporter->text(), .type = telemetry::kExposition}).problem;
          },
          "push");
  }

  catalog::tracker::prometheus::Options options;
  std::int64_t norm_interval;
  std::shared_ptr<telemetry::Exporter> exporter;
  std::shared_ptr<telemetry::Client> gateway;
  std::unique_ptr<telemetry::Outbox> pushes, writes;
  std::unique_ptr<telemetry::Server> server;
  std::chrono::steady_clock::time_point sent;
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::prometheus::Options&>(options);
  if (o.metrics_port < 0 && o.metrics_file.empty() && o.pushgateway.empty()) return nullptr;
  if (!o.metrics_file.empty()) {
    const std::filesystem::path folder = std::filesystem::absolute(o.metrics_file).parent_path();
    if (const std::string problem = io::creation_problem(folder.string()); !problem.empty())
      throw Error(Exit::kResource, "watch.metrics_file", folder.string() + ": " + problem);
  }
  return std::make_shared<Tracker>(o, setting);
}

const core::Body<MakeTracker> body{"tracker", "prometheus", make};

}  // namespace
}  // namespace ds::train::prometheus
