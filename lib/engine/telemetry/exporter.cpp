#include "engine/telemetry/exporter.h"

#include <openssl/evp.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>

#include "base/core/error.h"
#include "base/report/watched.h"
#include "engine/exec/memory.h"
#include "engine/telemetry/gpu.h"

namespace ds::telemetry {

struct Exporter::State {
  prometheus::Registry registry;
  prometheus::Labels labels;
  // By name; series of one family by the value of its own label.
  std::map<std::string, std::map<std::string, prometheus::Gauge*>, std::less<>> gauges;
  std::map<std::string, std::map<std::string, prometheus::Counter*>, std::less<>> counters;
  std::map<std::string, prometheus::Histogram*, std::less<>> histograms;
  mutable std::mutex mutex;  ///< of the maps and the registry's families

  prometheus::Labels labels_of(const report::Watched& metric, const std::string& label) const {
    prometheus::Labels all = labels;
    if (*metric.label) all[metric.label] = label;
    return all;
  }
};

namespace {

const report::Watched& checked(const std::string& name, report::MetricType type) {
  const report::Watched& metric = report::watched(name);
  if (metric.type != type) throw Error(Exit::kFailure, name, "is a metric of another type");
  return metric;
}

std::string grouping(const std::string& label, const std::string& value) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("-_.~", c) != nullptr; };
  if (!value.empty() && std::all_of(value.begin(), value.end(), plain)) return "/" + label + "/" + value;
  std::string out(4 * (value.size() / 3 + 1) + 1, '\0');
  out.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()))));
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return "/" + label + "@base64/" + (out.empty() ? "=" : out);
}

}  // namespace

Exporter::Exporter(const std::string& job, const std::string& model, const std::string& run) : state_(std::make_unique<State>()) {
  state_->labels = {{"job", job}, {"model", model}, {"run", run}};
}

Exporter::~Exporter() = default;

void Exporter::set(const std::string& gauge, double value, const std::string& label) {
  const std::lock_guard lock(state_->mutex);
  prometheus::Gauge*& series = state_->gauges[gauge][label];
  if (!series) {
    const report::Watched& metric = checked(gauge, report::MetricType::kGauge);
    series = &prometheus::BuildGauge().Name(metric.name).Help(metric.help).Register(state_->registry).Add(state_->labels_of(metric, label));
  }
  series->Set(value);
}

void Exporter::add(const std::string& counter, double increment, const std::string& label) {
  const std::lock_guard lock(state_->mutex);
  prometheus::Counter*& series = state_->counters[counter][label];
  if (!series) {
    const report::Watched& metric = checked(counter, report::MetricType::kCounter);
    series = &prometheus::BuildCounter().Name(metric.name).Help(metric.help).Register(state_->registry).Add(state_->labels_of(metric, label));
  }
  series->Increment(increment);
}

void Exporter::observe(const std::string& histogram, double value) {
  const std::lock_guard lock(state_->mutex);
  prometheus::Histogram*& series = state_->histograms[histogram];
  if (!series) {
    const report::Watched& metric = checked(histogram, report::MetricType::kHistogram);
    const std::vector<double>& bounds = report::duration_buckets();
    series = &prometheus::BuildHistogram().Name(metric.name).Help(metric.help).Register(state_->registry).Add(
        state_->labels_of(metric, ""), prometheus::Histogram::BucketBoundaries(bounds.begin(), bounds.end()));
  }
  series->Observe(value);
}

void Exporter::refresh() {
  const exec::MemoryUse use = exec::memory_use();
  set("ds_memory_live_bytes", static_cast<double>(use.live));
  set("ds_memory_peak_bytes", static_cast<double>(use.peak));
  set("ds_resident_memory_bytes", static_cast<double>(exec::resident_bytes()));
  for (const GpuUse& gpu : gpu_use()) {
    const std::string index = std::to_string(gpu.index);
    set("ds_gpu_utilization_ratio", gpu.utilization, index);
    set("ds_gpu_memory_used_bytes", static_cast<double>(gpu.memory_used), index);
    set("ds_gpu_memory_total_bytes", static_cast<double>(gpu.memory_total), index);
  }
}

std::string Exporter::push_path() const {
  const prometheus::Labels& labels = state_->labels;
  return "/metrics" + grouping("job", labels.at("job")) + grouping("model", labels.at("model")) + grouping("run", labels.at("run"));
}

std::string Exporter::text() const {
  std::vector<prometheus::MetricFamily> families;
  {
    const std::lock_guard lock(state_->mutex);
    families = state_->registry.Collect();
  }
  std::ostringstream out;
  out.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace ds::telemetry
