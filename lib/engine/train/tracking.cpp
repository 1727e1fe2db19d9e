#include "engine/train/tracking.h"

#include <cmath>
#include <filesystem>

#include "base/catalog/tracker/jsonl.h"
#include "engine/exec/memory.h"

namespace ds::train {
namespace {

const catalog::tracker::jsonl::Options& shared(const Setting& setting) {
  return setting.fit.watch.as<catalog::tracker::jsonl::Options>("jsonl");
}

/// Where a run without a run folder ends: "a/model.h5" of "a/model.h5.partial".
std::string output_of(const Setting& setting) {
  const std::string& partial = setting.options.partial;
  constexpr std::string_view kEnding = ".partial";
  return partial.ends_with(kEnding) ? partial.substr(0, partial.size() - kEnding.size()) : partial;
}

}  // namespace

std::string run_name(const Setting& setting) {
  if (const std::string& name = shared(setting).run_name; !name.empty()) return name;
  namespace fs = std::filesystem;
  if (!setting.options.run_dir.empty()) {
    const fs::path folder = fs::absolute(setting.options.run_dir).lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }
  const std::string output = fs::path(output_of(setting)).stem().string();
  return output.empty() ? "run" : output;
}

std::string architecture(const Setting& setting) {
  return setting.model.graph.meta.is_object() ? setting.model.graph.meta.value("arch", "graph") : "graph";
}

std::int64_t log_interval(const Setting& setting) { return shared(setting).log_interval; }

std::string beside_run(const Setting& setting, const std::string& name) {
  if (!setting.options.run_dir.empty()) return setting.options.run_dir + "/" + name;
  const std::string output = output_of(setting);
  return output.empty() ? "" : output + "." + name;
}

void Sampler::start(Trainer& trainer) const { trainer.want_gradient_norm(interval_); }

void Sampler::on_batch(const Trainer& trainer, const data::Batch& batch) {
  if (!begun_) since_ = std::chrono::steady_clock::now();
  begun_ = true;
  if (trainer.data().has_tokens()) tokens_ += batch.inputs.at(0).numel();
}

bool Sampler::on_step(const Trainer& trainer) {
  samples_ += trainer.last_step().samples;
  if (trainer.step() % interval_ != 0) return false;
  collect(trainer);
  return true;
}

void Sampler::collect(const Trainer& trainer) {
  static const report::Watched &loss = report::watched("ds_train_loss"), &lr = report::watched("ds_train_learning_rate"),
                               &norm = report::watched("ds_train_gradient_norm"), &scale = report::watched("ds_train_loss_scale"),
                               &samples = report::watched("ds_train_samples_total"), &tokens = report::watched("ds_train_tokens_total"),
                               &seconds = report::watched("ds_step_duration_seconds"), &memory = report::watched("ds_memory_live_bytes"),
                               &resident = report::watched("ds_resident_memory_bytes");
  const StepFigures& f = trainer.last_step();
  values_ = {{&loss, f.loss}, {&lr, f.lr}};
  if (std::isfinite(f.gradient_norm)) values_.emplace_back(&norm, f.gradient_norm);
  if (f.loss_scale != 1) values_.emplace_back(&scale, f.loss_scale);
  if (!reproducible_) {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::max(1e-9, std::chrono::duration<double>(now - since_).count());
    values_.emplace_back(&samples, static_cast<double>(samples_) / passed);
    if (tokens_ > 0) values_.emplace_back(&tokens, static_cast<double>(tokens_) / passed);
    values_.emplace_back(&seconds, f.seconds);
    values_.emplace_back(&memory, static_cast<double>(exec::memory_use().live));
    values_.emplace_back(&resident, static_cast<double>(exec::resident_bytes()));
    since_ = now;
  }
  samples_ = tokens_ = 0;
}

}  // namespace ds::train
