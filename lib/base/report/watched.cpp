#include "base/report/watched.h"

#include "base/core/error.h"

namespace ds::report {

const std::vector<Watched>& watched() {
  using enum MetricType;
  using enum Shown;
  static const std::vector<Watched> table = {
      {"ds_train_loss", kGauge, "", "loss of the step done last, a mean over what counted in it", "", "loss", "train/loss", "Loss", kValue},
      {"ds_epoch_metric", kGauge, "", "a figure of the epoch done last, by the name that metrics.csv gives it", "metric", "", "", "Epoch", kValue},
      {"ds_train_learning_rate", kGauge, "", "learning rate of the step done last", "", "lr", "train/lr", "Learning rate", kValue},
      {"ds_train_gradient_norm", kGauge, "", "norm of all gradients together, before clipping", "", "gradient_norm", "train/gradient_norm",
       "Gradient norm", kValue},
      {"ds_train_loss_scale", kGauge, "", "factor of the loss under fp16; 1 elsewhere", "", "loss_scale", "train/loss_scale", "Loss scale", kValue},
      {"ds_train_samples_total", kCounter, "", "samples that were trained on since the process began", "", "samples_per_sec",
       "train/samples_per_sec", "Samples a second", kRate},
      {"ds_train_tokens_total", kCounter, "", "tokens that were trained on since the process began, padding included", "", "tokens_per_sec",
       "train/tokens_per_sec", "Tokens a second", kRate},
      {"ds_step_duration_seconds", kHistogram, "seconds", "from a step's batch to its update", "", "step_seconds", "train/step_seconds",
       "Time a step", kQuantiles},
      {"ds_loader_wait_seconds_total", kCounter, "seconds", "time in which the loop waited for batches", "", "", "", "Waiting for data", kRate},
      {"ds_train_steps_total", kCounter, "", "steps that were done since the process began", "", "", "", "Steps a second", kRate},
      {"ds_train_skipped_steps_total", kCounter, "", "steps without an update, since their gradients overflowed in fp16", "", "", "",
       "Steps a second", kRate},
      {"ds_train_progress_ratio", kGauge, "ratio", "share of the run's steps that are done, those before a resume included", "", "", "", "Progress",
       kValue},
      {"ds_train_epoch", kGauge, "", "epochs that are done", "", "", "", "Epochs done", kValue},
      {"ds_alarms_total", kCounter, "", "alarms, by kind: loss, gradient_norm, loader, memory", "kind", "", "", "Alarms", kValue},
      {"ds_memory_live_bytes", kGauge, "bytes", "memory of CPU tensors now", "", "memory_bytes", "system/memory_bytes", "Memory", kValue},
      {"ds_memory_peak_bytes", kGauge, "bytes", "most memory of CPU tensors so far", "", "", "", "Memory", kValue},
      {"ds_resident_memory_bytes", kGauge, "bytes", "resident memory of the process", "", "resident_bytes", "system/resident_bytes", "Memory",
       kValue},
      {"ds_gpu_utilization_ratio", kGauge, "ratio", "share of the last moments in which the GPU worked", "gpu", "", "system/gpu_utilization",
       "GPU use", kValue},
      {"ds_gpu_memory_used_bytes", kGauge, "bytes", "memory of the GPU that is in use, by all processes", "gpu", "", "system/gpu_memory_bytes",
       "GPU memory", kValue},
      {"ds_gpu_memory_total_bytes", kGauge, "bytes", "memory that the GPU has", "gpu", "", "", "GPU memory", kValue},
      {"ds_last_success_timestamp_seconds", kGauge, "seconds", "when the run ended well, in seconds since 1970; not there before", "", "", "",
       "Since the last success", kAge},
  };
  return table;
}

const Watched& watched(const std::string& name) {
  for (const Watched& metric : watched())
    if (metric.name == name) return metric;
  throw Error(Exit::kFailure, name, "is not in the table of metrics");
}

const std::vector<double>& duration_buckets() {
  static const std::vector<double> buckets = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};
  return buckets;
}

std::string epoch_tag(const std::string& key) {
  for (const char* split : {"val_", "test_"})
    if (key.starts_with(split)) return std::string(split, std::string(split).size() - 1) + "/" + key.substr(std::string(split).size());
  return "epoch/" + key;
}

Table watched_table() {
  const auto type = [](MetricType t) { return t == MetricType::kGauge ? "gauge" : t == MetricType::kCounter ? "counter" : "histogram"; };
  Table table{{{"metric", false}, {"type", false}, {"unit", false}, {"label", false}, {"tag", false}, {"what it is", false}}, {}};
  for (const Watched& m : watched()) table.rows.push_back({m.name, type(m.type), m.unit, m.label, m.tag, m.help});
  return table;
}

}  // namespace ds::report
