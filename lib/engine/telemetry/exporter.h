// The metrics of a run for Prometheus: those of base/report/watched.h, with the labels job, model and run.
#pragma once
#include <memory>
#include <string>

namespace ds::telemetry {

/// From any thread. Names must be in the table, and be of the type that is asked for: ds::Error(kFailure) else.
class Exporter {
 public:
  Exporter(const std::string& job, const std::string& model, const std::string& run);
  ~Exporter();
  /// `label` is the value of the metric's own label, where it has one.
  void set(const std::string& gauge, double value, const std::string& label = "");
  void add(const std::string& counter, double increment, const std::string& label = "");
  void observe(const std::string& histogram, double value);
  /// Memory of tensors and of the process, and what GPUs there are, as they are now.
  void refresh();
  /// The text exposition format 0.0.4. Metrics without a value are left out.
  std::string text() const;
  /// Where a push gateway takes the text: "/metrics/job/.../model/.../run/...", values in base64 where a path cannot have them.
  std::string push_path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Content-Type of text().
inline constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace ds::telemetry
