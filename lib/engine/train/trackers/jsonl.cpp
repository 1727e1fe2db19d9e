#include "base/catalog/tracker/jsonl.h"

#include <fmt/chrono.h>

#include <cmath>

#include "engine/telemetry/run_log.h"
#include "engine/train/tracking.h"

namespace ds::train::jsonl {
namespace {

/// "2026-11-24T21:20:10Z".
std::string now() { return fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr))); }

/// Seven digits, which float32 has; whole numbers stay whole.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return std::stod(fmt::format("{:.7g}", value));
}

struct Tracker : Callback {
  Tracker(const Setting& setting)
      : path(beside_run(setting, "metrics.jsonl")), reproducible(setting.options.reproducible), sampler(log_interval(setting), reproducible) {}

  void on_start(Trainer& trainer) override { sampler.start(trainer); }

  void on_batch(Trainer& trainer, data::Batch& batch) override {
    open(trainer);
    sampler.on_batch(trainer, batch);
  }

  void on_step(Trainer& trainer) override {
    if (!sampler.on_step(trainer)) return;
    Json line = {{"kind", "step"}, {"step", trainer.step()}, {"epoch", trainer.epoch() + 1}};
    for (const auto& [metric, value] : sampler.values()) line[metric->key] = rounded(value);
    write(line);
  }

  void on_epoch(Trainer& trainer, Json& row) override {
    open(trainer);
    Json line = row;
    line["kind"] = "epoch";
    write(line);
  }

  void on_alarm(Trainer& trainer, const Alarm& alarm) override {
    open(trainer);
    write({{"kind", "alarm"}, {"step", trainer.step()}, {"alarm", alarm.kind}, {"text", alarm.text}, {"value", alarm.value}, {"limit", alarm.limit}});
  }

  void open(const Trainer& trainer) {
    if (!log) log = std::make_unique<telemetry::RunLog>(path, trainer.step(), trainer.epoch());
  }

  void write(Json line) {
    if (!reproducible) line["time"] = now();
    log->line(line);
  }

  std::string path;
  bool reproducible;
  Sampler sampler;
  std::unique_ptr<telemetry::RunLog> log;
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::jsonl::Options&>(options);
  if (!o.jsonl || setting.options.run_dir.empty()) return nullptr;
  return std::make_shared<Tracker>(setting);
}

const core::Body<MakeTracker> body{"tracker", "jsonl", make};

}  // namespace
}  // namespace ds::train::jsonl
