#include "base/catalog/tracker/tensorboard.h"

#include "engine/telemetry/event_file.h"
#include "engine/train/tracking.h"

namespace ds::train::tensorboard {
namespace {

struct Tracker : Callback {
  Tracker(const Setting& setting) : folder(setting.options.run_dir), sampler(log_interval(setting), false) {}

  void on_start(Trainer& trainer) override { sampler.start(trainer); }

  void on_batch(Trainer& trainer, data::Batch& batch) override {
    open(trainer);
    sampler.on_batch(trainer, batch);
  }

  void on_step(Trainer& trainer) override {
    if (!sampler.on_step(trainer)) return;
    std::vector<std::pair<std::string, double>> values;
    for (const auto& [metric, value] : sampler.values()) values.emplace_back(metric->tag, value);
    file->scalars(trainer.step(), values);
  }

  void on_epoch(Trainer& trainer, Json& row) override {
    open(trainer);
    std::vector<std::pair<std::string, double>> values;
    for (const auto& [key, value] : row.items())
      if (value.is_number() && key != "step" && key != "epoch") values.emplace_back(report::epoch_tag(key), value.get<double>());
    file->scalars(trainer.step(), values);
  }

  void open(const Trainer& trainer) {
    if (!file) file = std::make_unique<telemetry::EventFile>(folder, trainer.step());
  }

  std::string folder;
  Sampler sampler;
  std::unique_ptr<telemetry::EventFile> file;
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::tensorboard::Options&>(options);
  if (!o.tensorboard || setting.options.run_dir.empty() || setting.options.reproducible) return nullptr;
  return std::make_shared<Tracker>(setting);
}

const core::Body<MakeTracker> body{"tracker", "tensorboard", make};

}  // namespace
}  // namespace ds::train::tensorboard
